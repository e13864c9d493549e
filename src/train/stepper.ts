import type { Backbone } from "../backbones/index.ts";
import { type DimBindings, floats, type Params, Rng, type TensorMap } from "../core/index.ts";
import type { Session } from "../engine/index.ts";
import {
  batchFeeds,
  gradientOutput,
  lossScaleInput,
  type ModelParts,
  prepackFor,
  trainingGraph,
} from "../model/index.ts";
import { dropoutBankBytes, dropoutBanks, dropoutOffsets } from "../nn/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { itemRows, largestItem, longestSequence, padBatch } from "../text/index.ts";
import { estimateSessionBytes, fitMicroBatch, idleBytes, parseBytes } from "./memory.ts";
import type { ResolvedSettings } from "./options.ts";
import type { TrunkCache } from "./trunk.ts";

/** The feeds of one update, cut into passes. */
interface PreparedBatch {
  readonly passes: readonly TensorMap[];
  readonly examples: number;
  readonly tokens: number;
}

/** Gradients of one update. */
interface StepResult {
  /** Weighted mean over the whole effective batch. */
  readonly loss: number;
  readonly grads: Params;
}

/** Computes losses and gradients: owns the training session and what is fed to it. */
export interface Stepper {
  /** Examples per pass. */
  readonly microBatchSize: number;
  /** Memory that the process is estimated to reach in training. */
  readonly estimatedBytes: number;
  /** Makes the feeds of an update from its training items; `step` names its dropout. */
  prepare(items: Int32Array, step: number): PreparedBatch;
  run(batch: PreparedBatch, params: Params): Promise<StepResult>;
  close(): Promise<void>;
}

/** Compiles the training graph and binds what stays the same through the run. */
export async function createStepper(
  parts: ModelParts & { readonly backbone: Backbone },
  task: Task,
  encoded: Encoded,
  params: Params,
  settings: ResolvedSettings,
  cache?: TrunkCache,
): Promise<Stepper> {
  const { backbone } = parts;
  const { hiddenDropout: hidden, attentionDropout: attention, memory, seed } = settings;
  const { graph, dropout } = trainingGraph(
    parts,
    task,
    params,
    { ...(hidden !== "checkpoint" && { hidden }), ...(attention !== "checkpoint" && { attention }) },
    memory,
    cache?.trunk,
  );
  const prepack = prepackFor(memory, settings.precision);
  const length = longestSequence(encoded.sequences);
  const perItem = largestItem(encoded);
  const estimate = (items: number): number =>
    idleBytes(encoded.sequences.starts[encoded.sequences.count]!) +
    dropoutBankBytes(dropout, { B: items * perItem, S: settings.maxLength }) +
    estimateSessionBytes({
      graph,
      sizes: { B: items * perItem, S: length },
      weightCopies: prepack && settings.precision === "fp32" ? 2 : 1,
    });
  const limit = parseBytes(settings.memoryLimit)!;
  const microBatchSize =
    settings.microBatchSize < settings.batchSize || limit === Number.POSITIVE_INFINITY
      ? settings.microBatchSize
      : fitMicroBatch(settings.batchSize, limit, estimate);
  const session: Session = await backbone.engine.compile(graph, { prepack });
  const rng = new Rng(seed, "dropout");
  const largest: DimBindings = { B: microBatchSize * perItem, S: settings.maxLength };
  if (dropout.sites.length > 0) await session.bind(dropoutBanks(dropout, largest, rng));
  const names = Object.keys(params);

  return {
    microBatchSize,
    estimatedBytes: estimate(microBatchSize),
    prepare(items, step) {
      const weight = task.weight(encoded, itemRows(encoded, items));
      const scale = floats([], [weight === 0 ? 0 : 1 / weight]);
      const passes: TensorMap[] = [];
      let tokens = 0;
      for (let start = 0; start < items.length; start += microBatchSize) {
        const rows = itemRows(encoded, items.subarray(start, start + microBatchSize));
        const batch = padBatch(encoded.sequences, rows, backbone.config.padTokenId);
        const sizes = { B: batch.batch, S: batch.length };
        tokens += batch.tokens;
        passes.push({
          ...batchFeeds(batch),
          ...task.targets(encoded, { rows, length: batch.length }),
          ...cache?.feeds(encoded, { rows, length: batch.length }),
          ...dropoutOffsets(dropout, largest, sizes, rng.split(step, start)),
          [lossScaleInput]: scale,
        });
      }
      return { passes, examples: items.length, tokens };
    },
    async run({ passes }, current) {
      let loss = 0;
      let grads: Params | undefined;
      for (const pass of passes) {
        const outputs = await session.run({ ...pass, ...current });
        loss += Number(outputs.loss!.data[0]);
        const own = Object.fromEntries(names.map((name) => [name, outputs[gradientOutput(name)]!])) as Params;
        if (grads === undefined) grads = own;
        else accumulate(grads, own);
      }
      return { loss, grads: grads! };
    },
    close: () => session.release(),
  };
}

function accumulate(into: Params, from: Params): void {
  for (const [name, { data }] of Object.entries(into)) {
    const more = from[name]!.data;
    for (let i = 0; i < data.length; i++) data[i]! += more[i]!;
  }
}
