import { expectPublishable } from "../adapters/portable.ts";
import { abortable, type Backbone, withPrecision } from "../backbones/portable.ts";
import { elementCount, type Params, PtuningError, Resources, Rng } from "../core/index.ts";
import type { Session } from "../engine/index.ts";
import {
  checkMaxLength,
  checkTogether,
  type Inventory,
  inferenceGraph,
  initializeParams,
  inventory,
  type ModelParts,
  missingWeights,
  type ParamShapes,
  paramShapes,
  rateFactors,
  weightPrefix,
} from "../model/index.ts";
import { optimizers, type Schedule, schedule } from "../optim/index.ts";
import { settleTask } from "../predict/index.ts";
import type { Encoded } from "../tasks/index.ts";
import { itemCount } from "../text/portable.ts";
import { checkIdentity, runIdentity } from "./identity.ts";
import { labelsOf } from "./labels.ts";
import { idleBytes } from "./memory.ts";
import { type Mix, mixTasks } from "./mix.ts";
import {
  type AnyTrainOptions,
  type NamedTask,
  type ResolvedSettings,
  resolveSettings,
  scoresOf,
  tasksOf,
} from "./options.ts";
import { startDoubts, startingTensors } from "./start.ts";
import type { EvaluationRecord, TrainingState } from "./state.ts";
import { createStepper, type Stepper } from "./stepper.ts";
import { createStore, type ParameterStore } from "./store.ts";
import { createTrunkCache, type TrunkCache } from "./trunk.ts";

/** One task of a run, ready to be trained. */
export interface RunTask extends NamedTask {
  readonly parts: ModelParts & { readonly backbone: Backbone };
  readonly trainSet: Encoded;
  readonly devSet: Encoded;
  /** Names of the tensors that its batches train. */
  readonly trained: ReadonlySet<string>;
  readonly stepper: Stepper;
  readonly inference: Session | undefined;
}

/** Everything that a run works with; `step` and the evaluations move on. */
export interface Run extends AsyncDisposable {
  readonly options: AnyTrainOptions;
  readonly backbone: Backbone;
  readonly tasks: readonly RunTask[];
  readonly mix: Mix;
  readonly settings: ResolvedSettings;
  readonly identity: string;
  /** What could not be told of what it goes on from or starts from, for people. */
  readonly doubts: readonly string[];
  readonly inventory: Inventory;
  /** Weights that the checkpoint lacks and that are not trained, and the names of those drawn by this run. */
  readonly frozen: Params;
  readonly drawn: readonly string[];
  readonly store: ParameterStore;
  readonly scores: ReturnType<typeof scoresOf>;
  best: TrainingState["best"];
  readonly evaluations: EvaluationRecord[];
  step: number;
  lossSum: number;
  lossCount: number;
  readonly cache: TrunkCache | undefined;
  readonly estimatedBytes: number;
  readonly rate: Schedule;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
}

/**
 * Encodes the data and compiles the graphs. What was opened is released where something is refused or aborted.
 * @throws OPTION_INVALID, DATA_INVALID, SEQUENCE_TOO_LONG, RUN_INVALID, the reason of the signal
 */
export async function setUp(options: AnyTrainOptions): Promise<Run> {
  const { method, resume, signal } = options;
  signal?.throwIfAborted();
  await using opened = new Resources();
  const named: NamedTask[] = [];
  for (const one of tasksOf(options)) {
    named.push({ ...one, task: await settleTask(one.task, abortable(options.backbone, signal)) });
  }
  // What an adapter cannot hold is refused before anything is trained.
  const facts = named.map(
    ({ name, task, data: { table } }) => [name, { task: task.options, table }] as const,
  );
  const { backbone: given } = options;
  expectPublishable({
    ...("tasks" in options ? { tasks: Object.fromEntries(facts) } : facts[0]![1]),
    method: method.options,
    backbone: given.id,
  });
  const fp32 = named.map(({ name, task }): ModelParts & { backbone: Backbone } => ({
    backbone: options.backbone,
    method,
    head: task.head,
    ...(name && { headName: name }),
  }));
  for (const [i, parts] of fp32.entries()) checkTogether(parts, named[i]!.task.pseudoTokens);
  const resolved = resolveSettings(options, fp32[0]!);
  checkMaxLength(fp32[0]!, resolved.maxLength);
  for (const { name, data } of named) {
    if (data.train.length > 0) continue;
    throw new PtuningError("DATA_INVALID", `${name || "train"}: expected examples, got none.`);
  }
  const identity = runIdentity(options, named, resolved);
  const doubts = resume ? [...checkIdentity(resume.identity, identity, options, named, resolved)] : [];
  const backbone = await withPrecision(options.backbone, resolved.precision, signal);
  const settings = { ...resolved, precision: backbone.precision };
  // Updates are not for the signal to tear: the loop looks at it between them.
  const watched = abortable(backbone, signal);
  const start =
    options.start &&
    (await startingTensors(
      options.start,
      fp32.map((parts, i) => ({ parts: { ...parts, backbone: watched }, task: named[i]!.task })),
    ));
  if (options.start) doubts.push(...startDoubts(options.start, backbone));
  const drawn = Object.assign(
    {},
    ...fp32.map((parts) => missingWeights(parts, new Rng(settings.seed, "frozen"))),
  ) as Params;
  const frozen = { ...drawn, ...start?.frozen };
  const allParts = fp32.map((parts) => ({ ...parts, backbone, frozen, fixed: start?.fixed ?? {} }));
  const shapes = allParts.map(paramShapes);
  const encoded: { trainSet: Encoded; devSet: Encoded }[] = [];
  for (const { task, data } of named) {
    const encode = (examples: readonly unknown[]): Promise<Encoded> =>
      task.encode(examples, watched.tokenizer, settings.maxLength);
    encoded.push({ trainSet: await encode(data.train), devSet: await encode(data.dev) });
  }
  const initial: Params[] = [];
  if (resume === undefined) {
    const labels = [...new Set(named.flatMap(({ task }) => labelsOf(task)))];
    const { sequences } = encoded[0]!.trainSet;
    const rng = new Rng(settings.seed, "init");
    // What tasks share comes out the same for each.
    for (const parts of allParts)
      initial.push(await initializeParams({ ...parts, backbone: watched }, rng, labels, sequences));
    initial.push(start?.params ?? {});
  }
  const params: Params = structuredClone(resume?.params) ?? Object.assign({}, ...initial);
  const sets = encoded.flatMap(({ trainSet, devSet }) => [trainSet, devSet]);
  const cache = await createTrunkCache({ ...allParts[0]!, backbone: watched }, shapes[0]!, sets, settings);
  if (cache) opened.use(cache);
  const lower = cache && cache.trunk.layers > 0 ? cache : undefined;
  const mix = mixTasks(
    encoded.map(({ trainSet }) => Math.ceil(itemCount(trainSet) / settings.batchSize)),
    settings.sampling,
    named.map(({ weight = 1 }) => weight),
    new Rng(settings.seed, "tasks"),
  );
  const { stepsPerEpoch } = mix;
  const totalSteps = stepsPerEpoch * settings.epochs;
  if (resume !== undefined) checkResumed(resume, Object.assign({}, ...shapes), totalSteps);
  const { learningRate: peak, warmupSteps } = settings;
  const rate =
    options.rateAt ?? schedule(settings.schedule, { peak, totalSteps, warmupSteps, stepsPerEpoch });
  const { weightDecay, clipNorm } = settings;
  const decayed = method.decays;
  const optimizer = optimizers[settings.optimizer];
  const headFactor = settings.headLearningRate / settings.learningRate;
  const factors = allParts.map((parts) => rateFactors(parts, headFactor));
  const factorOf = (name: string): number => factors[shapes.findIndex((own) => name in own)]!(name);
  const update = { schedule: rate, weightDecay, decayed, clipNorm, rateFactors: factorOf };
  const { engine } = backbone;
  const store = opened.use(await createStore(engine, params, resume?.optimizer, optimizer, update));
  const idle = idleBytes(
    encoded.reduce((sum, { trainSet: { sequences } }) => sum + sequences.starts[sequences.count]!, 0),
  );
  const tasks: RunTask[] = [];
  for (const [i, one] of named.entries()) {
    const [parts, { trainSet, devSet }, own] = [allParts[i]!, encoded[i]!, shapes[i]!];
    const inference =
      devSet.count > 0
        ? opened.use(await watched.engine.compile(inferenceGraph(parts, own, lower?.trunk)))
        : undefined;
    const facts = { parts, task: one.task, encoded: trainSet, shapes: own, cache: lower };
    const stepper = opened.use(
      await createStepper({ ...facts, idle, sessions: named.length }, store, settings),
    );
    const trained = new Set(Object.keys(own));
    tasks.push({ ...one, parts, trainSet, devSet, trained, inference, stepper });
  }
  signal?.throwIfAborted();
  const owned = opened.move();
  return {
    options,
    backbone,
    tasks,
    mix,
    settings,
    identity,
    doubts,
    inventory: inventory(params, backbone.parameterCount),
    // Fine-tuning trains also what the checkpoint lacks.
    frozen: Object.fromEntries(
      Object.entries(frozen).filter(([name]) => !(`${weightPrefix}${name}` in params)),
    ),
    drawn: Object.keys(drawn).filter((name) => !(name in (start?.frozen ?? {}))),
    store,
    scores: scoresOf(options),
    best: resume?.best,
    evaluations: [...(resume?.evaluations ?? [])],
    step: resume?.step ?? 0,
    lossSum: resume?.lossSum ?? 0,
    lossCount: resume?.lossCount ?? 0,
    cache,
    estimatedBytes: tasks.reduce((sum, { stepper }) => sum + stepper.estimatedBytes, idle),
    rate,
    stepsPerEpoch,
    totalSteps,
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

/**
 * Refuses a state that no run with these tensors can have been in.
 * @throws RUN_INVALID
 */
function checkResumed(
  { step, lossCount, evaluations, best, params }: TrainingState,
  shapes: ParamShapes,
  totalSteps: number,
): void {
  const expect = (holds: boolean, what: string, got: unknown): void => {
    if (holds) return;
    throw new PtuningError("RUN_INVALID", `resume: expected ${what}, got ${got}.`, {
      hint: "The state is damaged or was made by something else: start the run anew.",
    });
  };
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
  expect(isCount(step) && step <= totalSteps, `a step of 0 to ${totalSteps}`, step);
  expect(isCount(lossCount) && lossCount <= step, `a number of losses of 0 to ${step}`, lossCount);
  const evaluated = [...evaluations, ...(best ? [best.evaluation] : [])].map((evaluation) => evaluation.step);
  for (const at of evaluated) expect(isCount(at) && at <= step, `evaluations up to step ${step}`, at);
  for (const group of [params, ...(best ? [best.params] : [])]) {
    const names = Object.keys(group).sort().join(", ");
    expect(names === Object.keys(shapes).sort().join(", "), "the tensors that the run trains", names);
    for (const [name, { shape }] of Object.entries(shapes)) {
      const own = group[name]!;
      const fits = `${own.shape}` === `${shape}` && own.data.length === elementCount(shape);
      expect(fits, `a tensor "${name}" of [${shape}]`, `[${own.shape}]`);
    }
  }
}
