import { type Adapter, attach, backboneDoubts } from "../adapters/portable.ts";
import { abortable, type Backbone, type Precision, withPrecision } from "../backbones/portable.ts";
import { Resources } from "../core/index.ts";
import { type ExampleKinds, exampleKinds, type KindDescription } from "../data/portable.ts";
import { abortableSession } from "../engine/portable.ts";
import { precisionFor } from "../methods/index.ts";
import { inferenceGraph, prepackFor } from "../model/index.ts";
import { cutExamples, type Encoded, type Evaluation, type Review } from "../tasks/index.ts";
import { type ForwardPass, forward } from "./forward.ts";
import { windowsOf } from "./windows.ts";

/** The answer to one example of a stream. */
export interface Answer<E, P> {
  readonly example: E;
  /** Absent where the example is. */
  readonly prediction: P | undefined;
  /** Whether something of it was cut to the greatest length and not seen. Reading it in windows cuts nothing. */
  readonly truncated: boolean;
}

/** How answers are made. */
export interface AnswerOptions {
  /** Told the share that is done, 0 … 1. */
  readonly onProgress?: (done: number) => void;
  /** Ends the work with its reason; the predictor goes on to answer others. */
  readonly signal?: AbortSignal;
}

/** An adapter on its backbone, ready to answer. */
export interface Predictor<E = unknown, P = unknown> extends AsyncDisposable {
  /** What the user should know of how the adapter fits the backbone. */
  readonly warnings: readonly string[];
  /** Predictions in the order of the examples. */
  predict(examples: readonly E[], options?: AnswerOptions): Promise<P[]>;
  /**
   * Answers a stream of examples of any length, in its order: the first answers come at once, and memory stays flat, but for
   * tasks that compare their examples ({@link candidateRanking}). What stands for a record without an example,
   * `undefined`, comes back in its place without a prediction.
   * @throws DATA_INVALID if an example does not fit the task
   */
  stream<X extends E | undefined>(
    examples: Iterable<X> | AsyncIterable<X>,
    options?: Pick<AnswerOptions, "signal">,
  ): AsyncGenerator<Answer<X, P>, void, undefined>;
  /** Scores of labelled examples, and how many of them were cut to the greatest length. */
  evaluate(
    examples: readonly E[],
    options?: AnswerOptions,
  ): Promise<Evaluation & { readonly truncated: number }>;
  /** Looks at each labelled example, for reports; undefined where the task has nothing to tell. */
  review(examples: readonly E[], options?: AnswerOptions): Promise<Review | undefined>;
  /** Frees the session; the backbone stays. */
  close(): Promise<void>;
}

/** How a predictor computes. */
export interface PredictorOptions {
  /** Of the frozen linear layers. Default `auto`: int8 where the engine is good at it and the method allows it. */
  readonly precision?: Precision;
  /** Ends the set-up with its reason, also while int8 weights are made. */
  readonly signal?: AbortSignal;
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
  { precision = "auto", signal }: PredictorOptions = {},
): Promise<Predictor<E, P>> {
  signal?.throwIfAborted();
  const { task, params, maxLength } = adapter;
  const wanted = precisionFor(adapter.method, precision, backbone.engine.facts);
  const parts = attach(adapter, await withPrecision(backbone, wanted, signal));
  await using opened = new Resources();
  const prepack = prepackFor("lean", parts.backbone.precision);
  const session = opened.use(await backbone.engine.compile(inferenceGraph(parts, params), { prepack }));
  await session.bind(params);
  signal?.throwIfAborted();
  const owned = opened.move();
  const close = (): Promise<void> => owned[Symbol.asyncDispose]();
  const encode = (examples: readonly E[], { signal: stop }: AnswerOptions): Promise<Encoded> => {
    stop?.throwIfAborted();
    return task.encode(examples, abortable(backbone, stop).tokenizer, maxLength);
  };
  async function* passes(
    encoded: Encoded,
    { onProgress, signal: stop }: AnswerOptions,
  ): AsyncGenerator<ForwardPass> {
    for await (const pass of forward(abortableSession(session, stop), encoded, backbone, maxLength)) {
      yield pass;
      onProgress?.(pass.done);
    }
  }
  return {
    warnings: backboneDoubts(adapter, backbone),
    async predict(examples, options = {}) {
      const encoded = await encode(examples, options);
      const decoder = task.decoder(encoded);
      for await (const pass of passes(encoded, options)) decoder.add(pass);
      return decoder.finish() as P[];
    },
    async *stream(examples, options = {}) {
      options.signal?.throwIfAborted();
      const { texts } = exampleKinds[task.reads] as KindDescription<ExampleKinds[typeof task.reads]>;
      const charactersOf = (example: unknown): number =>
        example === undefined
          ? 0
          : texts(example as ExampleKinds[typeof task.reads]).reduce((sum, { text }) => sum + text.length, 0);
      for await (const window of windowsOf(examples, charactersOf, task.comparesExamples === true)) {
        const present = window.filter((example) => example !== undefined);
        const encoded = await encode(present as E[], options);
        const decoder = task.decoder(encoded);
        for await (const pass of passes(encoded, options)) decoder.add(pass);
        const predictions = decoder.finish() as P[];
        const cut = cutExamples(encoded);
        let next = 0;
        for (const example of window) {
          if (example === undefined) yield { example, prediction: undefined, truncated: false };
          else {
            yield { example, prediction: predictions[next]!, truncated: cut[next]! };
            next++;
          }
        }
      }
    },
    async evaluate(examples, options = {}) {
      const encoded = await encode(examples, options);
      const evaluator = task.evaluator(encoded);
      for await (const pass of passes(encoded, options)) evaluator.add(pass);
      const truncated = cutExamples(encoded).filter(Boolean).length;
      return { ...evaluator.result(), truncated };
    },
    async review(examples, options = {}) {
      const encoded = await encode(examples, options);
      const reviewer = task.reviewer?.(encoded);
      if (reviewer === undefined) return undefined;
      for await (const pass of passes(encoded, options)) reviewer.add(pass);
      return reviewer.finish();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
