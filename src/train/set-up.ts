import { type Backbone, withPrecision } from "../backbones/index.ts";
import { type Params, PtuningError, Rng } from "../core/index.ts";
import type { Session } from "../engine/index.ts";
import { hashText } from "../files/index.ts";
import {
  checkMaxLength,
  type Inventory,
  inferenceGraph,
  initializeParams,
  inventory,
  type ModelParts,
  missingWeights,
  weightPrefix,
} from "../model/index.ts";
import { optimizers, type Schedule, schedule } from "../optim/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { itemCount } from "../text/index.ts";
import { labelsOf } from "./labels.ts";
import { type ResolvedSettings, resolveSettings, type TrainOptions } from "./options.ts";
import { startIdentity, startingTensors } from "./start.ts";
import type { EvaluationRecord, TrainingState } from "./state.ts";
import { createStepper, type Stepper } from "./stepper.ts";
import { createStore, type ParameterStore } from "./store.ts";
import { createTrunkCache, type TrunkCache } from "./trunk.ts";

/** Everything that a run works with; `step` and the evaluations move on. */
export interface Run {
  readonly options: TrainOptions;
  readonly backbone: Backbone;
  readonly task: Task;
  readonly settings: ResolvedSettings;
  readonly identity: string;
  readonly trainSet: Encoded;
  readonly devSet: Encoded;
  readonly inventory: Inventory;
  /** Weights that the checkpoint lacks and that are not trained, and the names of those drawn by this run. */
  readonly frozen: Params;
  readonly drawn: readonly string[];
  readonly fixed: Params;
  readonly store: ParameterStore;
  best: TrainingState["best"];
  readonly evaluations: EvaluationRecord[];
  step: number;
  lossSum: number;
  lossCount: number;
  readonly cache: TrunkCache | undefined;
  readonly stepper: Stepper;
  readonly inference: Session | undefined;
  readonly rate: Schedule;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  close(): Promise<void>;
}

/**
 * Reads nothing from disk but the backbone: encodes the data and compiles the graphs.
 * @throws OPTION_INVALID, DATA_INVALID, SEQUENCE_TOO_LONG, RUN_INVALID
 */
export async function setUp(options: TrainOptions): Promise<Run> {
  const { data, method, resume } = options;
  const task = options.task as Task;
  const fp32: ModelParts = { backbone: options.backbone, method, head: task.head };
  const settings = resolveSettings(options, fp32);
  checkMaxLength(fp32, settings.maxLength);
  if (data.train.length === 0) throw new PtuningError("DATA_INVALID", "train: expected examples, got none.");
  const identity = runIdentity(options, settings);
  if (resume !== undefined && resume.identity !== identity) {
    throw new PtuningError(
      "RUN_INVALID",
      "resume: the saved state belongs to other data, settings or backbone.",
      {
        hint: "Resume with the same configuration and the same files, or start a new run.",
      },
    );
  }
  const backbone = await withPrecision(options.backbone, settings.precision);
  const start = options.start && (await startingTensors(options.start, { ...fp32, backbone }, task));
  const drawn = missingWeights(fp32, new Rng(settings.seed, "frozen"));
  const frozen = { ...drawn, ...start?.frozen };
  const fixed = start?.fixed ?? {};
  const parts: ModelParts & { backbone: Backbone } = { ...fp32, backbone, frozen, fixed };
  const trainSet = await task.encode(data.train, backbone.tokenizer, settings.maxLength);
  const devSet = await task.encode(data.dev, backbone.tokenizer, settings.maxLength);
  const params = structuredClone(resume?.params) ?? {
    ...(await initializeParams(parts, new Rng(settings.seed, "init"), labelsOf(task))),
    ...start?.params,
  };
  const cache = await createTrunkCache(parts, params, [trainSet, devSet], settings);
  const lower = cache && cache.trunk.layers > 0 ? cache : undefined;
  const inference =
    devSet.count > 0 ? await backbone.engine.compile(inferenceGraph(parts, params, lower?.trunk)) : undefined;
  const stepsPerEpoch = Math.ceil(itemCount(trainSet) / settings.batchSize);
  const totalSteps = stepsPerEpoch * settings.epochs;
  const rate = schedule(settings.schedule, {
    peak: settings.learningRate,
    totalSteps,
    warmupSteps: settings.warmupSteps,
    stepsPerEpoch,
  });
  const { weightDecay, clipNorm } = settings;
  const decayed = method.decays;
  const optimizer = optimizers[settings.optimizer];
  const update = { schedule: rate, weightDecay, decayed, clipNorm };
  const store = await createStore(backbone.engine, params, resume?.optimizer, optimizer, update);
  const stepper = await createStepper(parts, task, trainSet, params, store, settings, lower);
  return {
    options,
    backbone,
    task,
    settings,
    identity,
    trainSet,
    devSet,
    inventory: inventory(params, backbone.parameterCount),
    // Fine-tuning trains also what the checkpoint lacks.
    frozen: Object.fromEntries(
      Object.entries(frozen).filter(([name]) => !(`${weightPrefix}${name}` in params)),
    ),
    fixed,
    drawn: Object.keys(drawn).filter((name) => !(name in (start?.frozen ?? {}))),
    store,
    best: resume?.best,
    evaluations: [...(resume?.evaluations ?? [])],
    step: resume?.step ?? 0,
    lossSum: resume?.lossSum ?? 0,
    lossCount: resume?.lossCount ?? 0,
    cache,
    stepper,
    inference,
    rate,
    stepsPerEpoch,
    totalSteps,
    async close() {
      await stepper.close();
      await store.close();
      await inference?.release();
      cache?.close();
    },
  };
}

/** What a resumed run must have in common with the saved one. */
function runIdentity(
  { backbone, task, data, method, start }: TrainOptions,
  settings: ResolvedSettings,
): string {
  const { checkpointSeconds, ...decisive } = settings;
  const facts = [
    backbone.fingerprint,
    [task.type, task.options],
    [method.name, method.options],
    [data.fingerprint, data.train.length, data.dev.length],
    decisive,
    ...(start ? [startIdentity(start)] : []),
  ];
  return hashText(JSON.stringify(facts));
}
