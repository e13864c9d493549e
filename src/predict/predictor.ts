import { type Adapter, attach } from "../adapters/index.ts";
import { type Backbone, type Precision, withPrecision } from "../backbones/index.ts";
import { precisionFor } from "../methods/index.ts";
import { inferenceGraph } from "../model/index.ts";
import type { Evaluation, Review } from "../tasks/index.ts";
import { evaluateSession, forward } from "./forward.ts";

/** An adapter on its backbone, ready to answer. */
export interface Predictor<E = unknown, P = unknown> {
  /** Predictions in the order of the examples. @param onProgress told the share that is done, 0 … 1 */
  predict(examples: readonly E[], onProgress?: (done: number) => void): Promise<P[]>;
  /** Scores of labelled examples. */
  evaluate(examples: readonly E[]): Promise<Evaluation>;
  /** Looks at each labelled example, for reports; undefined where the task has nothing to tell. */
  review(examples: readonly E[]): Promise<Review | undefined>;
  /** Frees the session; the backbone stays. */
  close(): Promise<void>;
}

/** How a predictor computes. */
export interface PredictorOptions {
  /** Of the frozen linear layers. Default `auto`: int8 where the CPU is good at it and the method allows it. */
  readonly precision?: Precision;
}

/**
 * Puts an adapter on a backbone.
 * @throws ADAPTER_INCOMPATIBLE if it was trained on another one; OPTION_INVALID if its method cannot have int8 layers
 * and is told to
 * @example
 * const backbone = await loadBackbone("minilm");
 * const predictor = await createPredictor(await loadAdapter("./adapters/rte"), backbone);
 * const [answer] = await predictor.predict([{ text: "It rains.", pair: "It is wet." }]);
 */
export async function createPredictor<E = unknown, P = unknown>(
  adapter: Adapter,
  backbone: Backbone,
  { precision = "auto" }: PredictorOptions = {},
): Promise<Predictor<E, P>> {
  const { task, params, maxLength } = adapter;
  const parts = attach(adapter, await withPrecision(backbone, precisionFor(adapter.method, precision)));
  const session = await backbone.engine.compile(inferenceGraph(parts, params));
  await session.bind(params);
  return {
    async predict(examples, onProgress) {
      const encoded = await task.encode(examples, backbone.tokenizer, maxLength);
      const decoder = task.decoder(encoded);
      for await (const pass of forward(session, encoded, backbone)) {
        decoder.add(pass);
        onProgress?.(pass.done);
      }
      return decoder.finish() as P[];
    },
    async evaluate(examples) {
      return evaluateSession(
        session,
        task,
        await task.encode(examples, backbone.tokenizer, maxLength),
        backbone,
      );
    },
    async review(examples) {
      const encoded = await task.encode(examples, backbone.tokenizer, maxLength);
      const reviewer = task.reviewer?.(encoded);
      if (reviewer === undefined) return undefined;
      for await (const pass of forward(session, encoded, backbone)) reviewer.add(pass);
      return reviewer.finish();
    },
    close: () => session.release(),
  };
}
