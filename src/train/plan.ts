import { expectPublishable } from "../adapters/portable.ts";
import { abortable, type Backbone, withPrecision } from "../backbones/portable.ts";
import { type Params, PtuningError, Rng } from "../core/index.ts";
import {
  checkMaxLength,
  checkTogether,
  type ModelParts,
  missingWeights,
  type ParamShapes,
  paramShapes,
  weightPrefix,
} from "../model/index.ts";
import { type Schedule, schedule } from "../optim/index.ts";
import { settleTask } from "../predict/index.ts";
import type { Encoded } from "../tasks/index.ts";
import { itemCount } from "../text/portable.ts";
import { checkIdentity, runIdentity } from "./identity.ts";
import { type Mix, mixTasks } from "./mix.ts";
import {
  type AnyTrainOptions,
  type NamedTask,
  type ResolvedSettings,
  resolveSettings,
  scoresOf,
  tasksOf,
} from "./options.ts";
import { type StartingTensors, startDoubts, startingTensors } from "./start.ts";

/** A model on a backbone whose weights can be read. */
type Parts = ModelParts & { readonly backbone: Backbone };

/** One task of a run: its model and its data. */
export interface PlannedTask extends NamedTask {
  readonly parts: Parts;
  readonly trainSet: Encoded;
  readonly devSet: Encoded;
  /** The tensors that its batches train, and their names. */
  readonly shapes: ParamShapes;
  readonly trained: ReadonlySet<string>;
}

/** What a run trains, on what and how: nothing of it changes, and nothing is open. */
export interface Plan {
  readonly options: AnyTrainOptions;
  /** In the precision of the settings. */
  readonly backbone: Backbone;
  readonly settings: ResolvedSettings;
  readonly identity: string;
  /** What could not be told of what it goes on from or starts from, for people. */
  readonly doubts: readonly string[];
  readonly tasks: readonly PlannedTask[];
  /** All tensors that are trained. */
  readonly shapes: ParamShapes;
  /** Weights that the checkpoint lacks and that are not trained, and the names of those drawn by this run. */
  readonly frozen: Params;
  readonly drawn: readonly string[];
  readonly scores: ReturnType<typeof scoresOf>;
  readonly mix: Mix;
  readonly totalSteps: number;
  readonly rate: Schedule;
}

/** A plan, and the trained tensors that another run left. */
export interface Planned {
  readonly plan: Plan;
  readonly taken: Params;
}

/**
 * Settles everything about a run: its tasks, its settings, the backbone in the right precision, the encoded data.
 * @throws OPTION_INVALID, DATA_INVALID, SEQUENCE_TOO_LONG, RUN_INVALID, the reason of the signal
 */
export async function planRun(options: AnyTrainOptions): Promise<Planned> {
  const { resume, signal } = options;
  const named = await settledTasks(options);
  const exact = named.map((one) => partsOf(one, options));
  for (const [i, parts] of exact.entries()) checkTogether(parts, named[i]!.task.pseudoTokens);
  const resolved = resolveSettings(options, exact[0]!);
  checkMaxLength(exact[0]!, resolved.maxLength);
  expectExamples(named);
  const identity = runIdentity(options, named, resolved);
  const doubts = resume ? [...checkIdentity(resume.identity, identity, options, named, resolved)] : [];
  const backbone = await withPrecision(options.backbone, resolved.precision, signal);
  const settings = { ...resolved, precision: backbone.precision };
  const start = await takenOver(options, backbone, named);
  if (options.start) doubts.push(...startDoubts(options.start, backbone));
  const rng = new Rng(settings.seed, "frozen");
  const drawn: Params = Object.assign({}, ...exact.map((parts) => missingWeights(parts, rng)));
  const frozen = { ...drawn, ...start?.frozen };
  const tasks: PlannedTask[] = [];
  for (const [i, one] of named.entries()) {
    const parts = { ...exact[i]!, backbone, frozen, fixed: start?.fixed ?? {} };
    const shapes = paramShapes(parts);
    const sets = await encodedSets(one, abortable(backbone, signal), settings);
    tasks.push({ ...one, parts, shapes, trained: new Set(Object.keys(shapes)), ...sets });
  }
  const shapes: ParamShapes = Object.assign({}, ...tasks.map((one) => one.shapes));
  const mix = mixOf(tasks, settings);
  const totalSteps = mix.stepsPerEpoch * settings.epochs;
  const plan: Plan = {
    options,
    backbone,
    settings,
    identity,
    doubts,
    tasks,
    shapes,
    // Fine-tuning trains also what the checkpoint lacks.
    frozen: Object.fromEntries(
      Object.entries(frozen).filter(([name]) => !(`${weightPrefix}${name}` in shapes)),
    ),
    drawn: Object.keys(drawn).filter((name) => !(name in (start?.frozen ?? {}))),
    scores: scoresOf(options),
    mix,
    totalSteps,
    rate: options.rateAt ?? rateOf(settings, mix.stepsPerEpoch, totalSteps),
  };
  return { plan, taken: start?.params ?? {} };
}

/** The tasks as they are learnt on this backbone, all of them such that an adapter can hold them. */
async function settledTasks(options: AnyTrainOptions): Promise<readonly NamedTask[]> {
  const { backbone, method, signal } = options;
  const named: NamedTask[] = [];
  for (const one of tasksOf(options)) {
    named.push({ ...one, task: await settleTask(one.task, abortable(backbone, signal)) });
  }
  // What an adapter cannot hold is refused before anything is trained.
  const facts = named.map(
    ({ name, task, data: { table } }) => [name, { task: task.options, table }] as const,
  );
  expectPublishable({
    ...("tasks" in options ? { tasks: Object.fromEntries(facts) } : facts[0]![1]),
    method: method.options,
    backbone: backbone.id,
  });
  return named;
}

function partsOf({ name, task }: NamedTask, { backbone, method }: AnyTrainOptions): Parts {
  return { backbone, method, head: task.head, ...(name && { headName: name }) };
}

function expectExamples(tasks: readonly NamedTask[]): void {
  const empty = tasks.find(({ data }) => data.train.length === 0);
  if (empty === undefined) return;
  throw new PtuningError("DATA_INVALID", `${empty.name || "train"}: expected examples, got none.`);
}

/** What the run starts from, where that is not random. */
async function takenOver(
  options: AnyTrainOptions,
  rounded: Backbone,
  tasks: readonly NamedTask[],
): Promise<StartingTensors | undefined> {
  if (options.start === undefined) return undefined;
  const backbone = abortable(rounded, options.signal);
  return startingTensors(
    options.start,
    tasks.map((one) => ({ parts: { ...partsOf(one, options), backbone }, task: one.task })),
  );
}

async function encodedSets(
  { task, data }: NamedTask,
  { tokenizer }: Backbone,
  { maxLength }: ResolvedSettings,
): Promise<Pick<PlannedTask, "trainSet" | "devSet">> {
  const trainSet = await task.encode(data.train, tokenizer, maxLength);
  return { trainSet, devSet: await task.encode(data.dev, tokenizer, maxLength) };
}

function mixOf(tasks: readonly PlannedTask[], { batchSize, sampling, seed }: ResolvedSettings): Mix {
  return mixTasks(
    tasks.map(({ trainSet }) => Math.ceil(itemCount(trainSet) / batchSize)),
    sampling,
    tasks.map(({ weight = 1 }) => weight),
    new Rng(seed, "tasks"),
  );
}

function rateOf(settings: ResolvedSettings, stepsPerEpoch: number, totalSteps: number): Schedule {
  const { learningRate: peak, warmupSteps } = settings;
  return schedule(settings.schedule, { peak, totalSteps, warmupSteps, stepsPerEpoch });
}
