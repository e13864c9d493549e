import type { Backbone } from "../backbones/index.ts";
import { type DimBindings, floats, Resources, Rng, type TensorMap } from "../core/index.ts";
import type { Session } from "../engine/index.ts";
import {
  batchFeeds,
  lossScaleInput,
  type ModelParts,
  type ParamShapes,
  prepackFor,
  trainingGraph,
} from "../model/index.ts";
import { dropoutBankBytes, dropoutBanks, dropoutOffsets, weightForms } from "../nn/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { itemRows, itemTokens, largestItem, longestSequence, padBatch } from "../text/portable.ts";
import { estimateSessionBytes, fitMicroBatch, parseBytes } from "./memory.ts";
import type { ResolvedSettings } from "./options.ts";
import { cachedExamples, cutPasses } from "./passes.ts";
import type { ParameterStore } from "./store.ts";
import type { TrunkCache } from "./trunk.ts";

/** The feeds of one update, cut into passes. */
interface PreparedBatch {
  readonly passes: readonly TensorMap[];
  readonly examples: number;
  readonly tokens: number;
}

/** Computes losses and gradients: owns the training session and what is fed to it beside the trainable tensors. */
export interface Stepper extends AsyncDisposable {
  /** Examples per pass, at most: batches are cut further, see {@link cutPasses}. */
  readonly microBatchSize: number;
  /** Memory that its session is estimated to take. */
  readonly estimatedBytes: number;
  /** Makes the feeds of an update from its training items; `step` names its dropout. */
  prepare(items: Int32Array, step: number): PreparedBatch;
  /** Computes the gradients of an update, which the store keeps. @returns the mean loss over the whole batch */
  run(batch: PreparedBatch): Promise<number>;
}

/** What a stepper computes on. */
export interface StepperFacts {
  readonly parts: ModelParts & { readonly backbone: Backbone };
  readonly task: Task;
  readonly encoded: Encoded;
  /** The tensors that are trained. */
  readonly shapes: ParamShapes;
  readonly cache?: TrunkCache | undefined;
  /** Bytes of the process before its sessions, and how many of these there are: one per task. */
  readonly idle: number;
  readonly sessions: number;
}

/** Compiles the training graph and binds what stays the same through the run. */
export async function createStepper(
  { parts, task, encoded, shapes, cache, idle, sessions }: StepperFacts,
  store: ParameterStore,
  settings: ResolvedSettings,
): Promise<Stepper> {
  const { backbone, headName } = parts;
  const { hiddenDropout: hidden, attentionDropout: attention, memory, seed } = settings;
  const { graph, dropout } = trainingGraph(
    parts,
    task,
    shapes,
    { ...(hidden !== "checkpoint" && { hidden }), ...(attention !== "checkpoint" && { attention }) },
    memory,
    cache?.trunk,
  );
  const prepack = prepackFor(memory, settings.precision);
  const length = longestSequence(encoded.sequences);
  const perItem = largestItem(encoded);
  const { intermediateSize: width, padTokenId } = backbone.config;
  const estimate = (items: number): number =>
    dropoutBankBytes(dropout, { B: items * perItem, S: settings.maxLength }) +
    estimateSessionBytes({
      graph,
      sizes: { B: Math.min(items, cachedExamples(perItem * length, width)) * perItem, S: length },
      weightCopies: prepack ? weightForms[settings.precision].packedCopies : 1,
    });
  const limit = parseBytes(settings.memoryLimit)!;
  const microBatchSize =
    settings.microBatchSize < settings.batchSize || limit === Number.POSITIVE_INFINITY
      ? settings.microBatchSize
      : fitMicroBatch(settings.batchSize, limit, (items) => idle + sessions * estimate(items));
  await using opened = new Resources();
  const session: Session = opened.use(await backbone.engine.compile(graph, { prepack }));
  const rng = new Rng(seed, "dropout", ...(headName ? [headName] : []));
  const names = Object.keys(shapes);
  const largest: DimBindings = { B: microBatchSize * perItem, S: settings.maxLength };
  if (dropout.sites.length > 0) await session.bind(dropoutBanks(dropout, largest, rng));

  /** Token rows of an item in a pass of items of its length. */
  const tokensOf = (item: number): number => perItem * itemTokens(encoded, item);

  const owned = opened.move();
  return {
    microBatchSize,
    estimatedBytes: estimate(microBatchSize),
    prepare(items, step) {
      const sorted = items.toSorted((a, b) => tokensOf(a) - tokensOf(b));
      const weight = task.weight(encoded, itemRows(encoded, sorted));
      const scale = floats([], [weight === 0 ? 0 : 1 / weight]);
      const passes: TensorMap[] = [];
      let tokens = 0;
      let start = 0;
      for (const end of cutPasses(sorted.map(tokensOf), width, microBatchSize)) {
        const rows = itemRows(encoded, sorted.subarray(start, end));
        const batch = padBatch(encoded.sequences, rows, padTokenId);
        const sizes = { B: batch.batch, S: batch.length };
        tokens += batch.tokens;
        passes.push({
          ...batchFeeds(batch),
          ...task.targets(encoded, { rows, length: batch.length }),
          ...cache?.feeds(encoded, { rows, length: batch.length }),
          ...dropoutOffsets(dropout, largest, sizes, rng.split(step, start)),
          [lossScaleInput]: scale,
        });
        start = end;
      }
      return { passes, examples: items.length, tokens };
    },
    async run({ passes }) {
      let loss = 0;
      for (const pass of passes) loss += await store.pass(session, names, pass);
      return loss;
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}
