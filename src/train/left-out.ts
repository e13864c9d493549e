/**
 * What small data without a dev set is judged by: short runs on two thirds of the rows each, and what they say of the third
 * that they have not seen. Every row is left out once.
 */
import { abortable, type Backbone } from "../backbones/portable.ts";
import { type Params, PtuningError, Rng, type TensorMap } from "../core/index.ts";
import { splitOff } from "../data/portable.ts";
import { type Features, fitReadout, headFeatures, probeFeatures, sideBySide } from "../fit/index.ts";
import { type Head, headWeight, type Pooling } from "../heads/index.ts";
import type { Method } from "../methods/index.ts";
import { inferenceGraph, type ModelParts } from "../model/index.ts";
import { forward } from "../predict/index.ts";
import { type Evaluation, type Evaluator, type Task, taskFrom } from "../tasks/index.ts";
import { itemCount, itemRows } from "../text/portable.ts";
import { addLinear, type Blend, evaluateLinear } from "./blend.ts";
import type { FoldEvent } from "./events.ts";
import { loop } from "./loop.ts";
import type { TrainOptions } from "./options.ts";
import { type Run, type RunTask, setUp } from "./set-up.ts";
import { settingDefaults, type TrainSettings } from "./settings.ts";

/** Fewer training items are small data: a tenth of them decides little as a dev set, and is missed in training. */
export const smallData = 500;
/** Parts that are left out in turns. */
const folds = 3;
/** Fewer items cannot be parted into parts that tell anything. */
const fewestItems = 2 * folds;
/** Updates of a short run at most, about: they are a share of the run's own, so that all of them take no longer than it. */
const shortUpdates = 120;
/** And at least, so that they have learnt something. */
const fewestUpdates = 60;
/** Ways to pool of the probes that a run is held against. */
const probePoolings: readonly Pooling[] = ["mean", "layers"];

/** A linear model on the untouched backbone, as left-out rows score it. */
export interface JudgedProbe {
  readonly task: Task;
  readonly parts: ModelParts & { readonly backbone: Backbone };
  readonly features: Features;
  /** Rows of its matrix. */
  readonly outputs: number;
  readonly evaluation: Evaluation;
}

/** What left-out rows say. */
export interface Judgement {
  /** Of heads as short runs train them, and as they are fitted behind these. */
  readonly trained: Evaluation;
  readonly fitted: Evaluation;
  /** Of heads that also read the untouched backbone, where these are offered. */
  readonly blended?: Evaluation;
  readonly probes: readonly JudgedProbe[];
}

/** Whether so many training items are small data that can be parted. */
export function isSmallData(items: number): boolean {
  return items >= fewestItems && items < smallData;
}

/** Whether runs of one task with this method and head choose on left-out rows where data is small and has no dev set. */
export function choosesOnLeftOut(
  { fitsHead }: Pick<Method, "fitsHead">,
  { readout }: Pick<Head, "readout">,
  { refit = settingDefaults.refit }: Pick<TrainSettings, "refit">,
): boolean {
  return !fitsHead && refit === "auto" && readout?.isRefitted === true;
}

/** Whether a run is judged so: one task whose head can be fitted, few rows, no dev set. */
export function hasLeftOut({ options, settings }: Run, { parts, devSet, trainSet }: RunTask): boolean {
  return (
    !("tasks" in options) &&
    choosesOnLeftOut(options.method, parts.head, settings) &&
    devSet.count === 0 &&
    isSmallData(itemCount(trainSet))
  );
}

/**
 * Makes the short runs.
 * @param blend what the untouched backbone makes of the training rows, where a head may read it
 * @returns nothing where the rows cannot be parted, as all belong together
 * @throws the reason of the signal
 */
export async function* judgeLeftOut(
  run: Run,
  one: RunTask,
  blend: Blend | undefined,
): AsyncGenerator<FoldEvent, Judgement | undefined> {
  const parted = leftItems(one, run.settings.seed);
  if (parted === undefined) return undefined;
  const { settings, options } = run;
  const { trainSet, task, shapes } = one;
  const backbone = abortable(run.backbone, options.signal);
  const parts = { ...one.parts, backbone };
  const rng = new Rng(settings.seed, "left out");
  const [trained, fitted] = [task.evaluator(trainSet), task.evaluator(trainSet)];
  const blended = blend?.task.evaluator(trainSet);
  const probes = await openProbes(run, one, backbone);
  await using session = await backbone.engine.compile(inferenceGraph(parts, shapes));
  for (const [fold, left] of parted.entries()) {
    const isLeft = new Set(left);
    const kept = Int32Array.from({ length: itemCount(trainSet) }, (_, item) => item).filter(
      (item) => !isLeft.has(item),
    );
    const params = yield* shortRun(run, one, kept, fold + 1);
    const rows = itemRows(trainSet, left).sort();
    const evaluate = async (own: Params, evaluator: Evaluator): Promise<void> => {
      await session.bind(own as TensorMap);
      const { maxLength } = settings;
      for await (const pass of forward(session, trainSet, backbone, maxLength, undefined, rows))
        evaluator.add(pass);
    };
    await evaluate(params, trained);
    const features = await headFeatures({ parts, params, maxLength: settings.maxLength, rng }, trainSet);
    const fitTo = (of: Features, own: Task): Promise<{ readonly params: Params }> =>
      fitReadout({
        ...{ engine: backbone.engine, task: own, encoded: trainSet, features: of, items: kept },
        outputs: params[headWeight]!.shape[0]!,
        rng: rng.split(fold),
      });
    await evaluate({ ...params, ...(await fitTo(features, task)).params }, fitted);
    const add = async (evaluator: Evaluator, own: Task, of: Features): Promise<void> =>
      addLinear(evaluator, trainSet, (await fitTo(of, own)).params, of, rows);
    if (blend) await add(blended!, blend.task, sideBySide(features, blend.train));
    for (const probe of probes) await add(probe.evaluator, probe.task, probe.features);
  }
  return {
    trained: trained.result(),
    fitted: fitted.result(),
    ...(blended && { blended: blended.result() }),
    probes: probes.map(({ evaluator, ...probe }) => ({ ...probe, evaluation: evaluator.result() })),
  };
}

/** The items of each part: equal labels in each, and together what belongs together; nothing where that leaves no parts. */
function leftItems({ data, task }: RunTask, seed: number): Int32Array[] | undefined {
  const rows = Array.from(data.train);
  const places = new Map(rows.map((row, item) => [row, item]));
  const parts: (readonly unknown[])[] = [];
  let rest: readonly unknown[] = rows;
  for (let left = folds; left > 1; left--) {
    try {
      const { kept, taken } = splitOff(rest as never[], 1 / left, seed + left, task.reads);
      parts.push(taken);
      rest = kept;
    } catch (error) {
      if (error instanceof PtuningError && error.code === "DATA_INVALID") return undefined;
      throw error;
    }
  }
  return [...parts, rest].map((part) => Int32Array.from(part, (row) => places.get(row)!));
}

/** Trains on some items as the run does, in fewer updates; the last state is what counts. */
async function* shortRun(
  { options: all, settings, totalSteps }: Run,
  { task, data }: RunTask,
  kept: Int32Array,
  fold: number,
): AsyncGenerator<FoldEvent, Params> {
  const { resume, ...options } = all as TrainOptions;
  const train = Array.from(data.train);
  const perEpoch = Math.ceil(kept.length / settings.batchSize);
  const updates = Math.min(shortUpdates, Math.max(fewestUpdates, totalSteps / folds));
  const epochs = Math.min(settings.epochs, Math.max(1, Math.round(updates / perEpoch)));
  await using run = await setUp({
    ...options,
    task,
    data: { ...data, train: Array.from(kept, (item) => train[item]), dev: [], warnings: [] },
    epochs,
    refit: "never",
    blend: "never",
  } as TrainOptions);
  const { signal } = options;
  for await (const event of loop(run)) {
    if (event.type !== "step") continue;
    const { step: update, loss, seconds } = event;
    yield { type: "fold", fold, folds, update, updates: run.totalSteps, loss, seconds };
  }
  signal?.throwIfAborted();
  return run.store.params();
}

/** A probe while its rows are scored. */
type OpenProbe = Omit<JudgedProbe, "evaluation"> & { readonly evaluator: Evaluator };

/** A probe of the last layer on all training rows, as dev scores it. */
export async function devProbe(
  run: Run,
  one: RunTask,
): Promise<Omit<JudgedProbe, "features"> & { readonly params: Params }> {
  const { settings, options } = run;
  const backbone = abortable(run.backbone, options.signal);
  const [{ features, evaluator: _, ...probe }] = (await openProbes(run, one, backbone, ["mean"])) as [
    OpenProbe,
  ];
  const rng = new Rng(settings.seed, "probe");
  const { maxLength } = settings;
  const { engine } = backbone;
  const { params } = await fitReadout({
    ...{ engine, task: probe.task, encoded: one.trainSet, features },
    ...{ outputs: probe.outputs, rng },
  });
  const seen = await headFeatures({ parts: probe.parts, params: {}, maxLength, rng }, one.devSet);
  return { ...probe, params, evaluation: evaluateLinear(probe.task, one.devSet, params, seen) };
}

async function openProbes(
  { settings }: Run,
  { task, trainSet, shapes }: RunTask,
  backbone: Backbone,
  poolings: readonly Pooling[] = probePoolings,
): Promise<OpenProbe[]> {
  const opened: OpenProbe[] = [];
  const outputs = shapes[headWeight]!.shape[0]!;
  for (const pooling of poolings) {
    const own = taskFrom(task.type, { ...task.options, pooling, headDropout: 0 });
    const { maxLength, seed } = settings;
    const { parts, features } = await probeFeatures({
      backbone,
      task: own,
      encoded: trainSet,
      pooling,
      maxLength,
      seed,
    });
    opened.push({ task: own, parts, features, outputs, evaluator: own.evaluator(trainSet) });
  }
  return opened;
}
