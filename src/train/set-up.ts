import { abortable } from "../backbones/portable.ts";
import { type Params, Resources, Rng } from "../core/index.ts";
import type { Session } from "../engine/index.ts";
import { type Inventory, inferenceGraph, initializeParams, inventory, rateFactors } from "../model/index.ts";
import { optimizers } from "../optim/index.ts";
import { labelsOf } from "../tasks/index.ts";
import { idleBytes } from "./memory.ts";
import type { AnyTrainOptions } from "./options.ts";
import { type Plan, type Planned, type PlannedTask, planRun } from "./plan.ts";
import { checkResumed, type Progress, progressFrom } from "./progress.ts";
import { createStepper, type Stepper } from "./stepper.ts";
import { createStore, type ParameterStore } from "./store.ts";
import { createTrunkCache, type TrunkCache } from "./trunk.ts";

/** One task of a run, ready to be trained. */
export interface RunTask extends PlannedTask {
  readonly stepper: Stepper;
  readonly inference: Session | undefined;
}

/** What a run holds open: tensors, sessions, a file. */
interface Stores {
  readonly store: ParameterStore;
  readonly cache: TrunkCache | undefined;
  readonly tasks: readonly RunTask[];
  readonly estimatedBytes: number;
}

/** A plan with everything open that it needs; only its progress moves on. */
export interface Run extends Plan, Stores, AsyncDisposable {
  readonly tasks: readonly RunTask[];
  readonly inventory: Inventory;
  readonly progress: Progress;
}

/**
 * Encodes the data and compiles the graphs. What was opened is released where something is refused or aborted.
 * @throws OPTION_INVALID, DATA_INVALID, SEQUENCE_TOO_LONG, RUN_INVALID, the reason of the signal
 */
export async function setUp(options: AnyTrainOptions): Promise<Run> {
  const { resume, signal } = options;
  signal?.throwIfAborted();
  const planned = await planRun(options);
  const { plan } = planned;
  if (resume !== undefined) checkResumed(resume, plan.shapes, plan.totalSteps);
  await using opened = new Resources();
  const stores = await openStores(planned, opened);
  signal?.throwIfAborted();
  const owned = opened.move();
  return {
    ...plan,
    ...stores,
    inventory: inventory(plan.shapes, plan.backbone.parameterCount),
    progress: progressFrom(resume),
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

/** Opens what a plan needs; `opened` owns it. */
async function openStores({ plan, taken }: Planned, opened: Resources): Promise<Stores> {
  const params = await firstParams(plan, taken);
  const cache = await openTrunkCache(plan);
  if (cache) opened.use(cache);
  const store = opened.use(await openStore(plan, params));
  const idle = idleBytes(
    plan.tasks.reduce((sum, { trainSet: { sequences } }) => sum + sequences.starts[sequences.count]!, 0),
  );
  const tasks: RunTask[] = [];
  for (const task of plan.tasks) tasks.push(await openTask(task, plan, store, cache, idle, opened));
  const estimatedBytes = tasks.reduce((sum, { stepper }) => sum + stepper.estimatedBytes, idle);
  return { store, cache, tasks, estimatedBytes };
}

/** The trained tensors before the first update: those of the resumed state, else taken over or drawn. */
async function firstParams({ options, tasks, settings, backbone }: Plan, taken: Params): Promise<Params> {
  const { resume, signal } = options;
  if (resume !== undefined) return structuredClone(resume.params);
  const labels = [...new Set(tasks.flatMap(({ task }) => labelsOf(task)))];
  const { sequences } = tasks[0]!.trainSet;
  const rng = new Rng(settings.seed, "init");
  const drawn: Params[] = [];
  // What tasks share comes out the same for each.
  for (const { parts } of tasks) {
    const watched = { ...parts, backbone: abortable(backbone, signal) };
    drawn.push(await initializeParams(watched, rng, labels, sequences));
  }
  return Object.assign({}, ...drawn, taken);
}

async function openTrunkCache({ options, tasks, settings }: Plan): Promise<TrunkCache | undefined> {
  const [{ parts, shapes }] = tasks as readonly [PlannedTask];
  const sets = tasks.flatMap(({ trainSet, devSet }) => [trainSet, devSet]);
  const watched = { ...parts, backbone: abortable(parts.backbone, options.signal) };
  return createTrunkCache(watched, shapes, sets, settings);
}

async function openStore(plan: Plan, params: Params): Promise<ParameterStore> {
  const { options, backbone, tasks, settings, rate } = plan;
  const { weightDecay, clipNorm } = settings;
  const headFactor = settings.headLearningRate / settings.learningRate;
  const factors = tasks.map(({ parts }) => rateFactors(parts, headFactor));
  const factorOf = (name: string): number => factors[tasks.findIndex((one) => one.trained.has(name))]!(name);
  return createStore(backbone.engine, params, options.resume?.optimizer, optimizers[settings.optimizer], {
    schedule: rate,
    weightDecay,
    decayed: options.method.decays,
    clipNorm,
    rateFactors: factorOf,
  });
}

async function openTask(
  task: PlannedTask,
  plan: Plan,
  store: ParameterStore,
  cache: TrunkCache | undefined,
  idle: number,
  opened: Resources,
): Promise<RunTask> {
  const { parts, trainSet, devSet, shapes } = task;
  const lower = cache && cache.trunk.layers > 0 ? cache : undefined;
  // Updates are not for the signal to tear: the loop looks at it between them.
  const { engine } = abortable(plan.backbone, plan.options.signal);
  const inference =
    devSet.count > 0
      ? opened.use(await engine.compile(inferenceGraph(parts, shapes, lower?.trunk)))
      : undefined;
  const facts = { parts, task: task.task, encoded: trainSet, shapes, cache: lower };
  const stepper = opened.use(
    await createStepper({ ...facts, idle, sessions: plan.tasks.length }, store, plan.settings),
  );
  return { ...task, inference, stepper };
}
