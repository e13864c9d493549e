/** The linear layers of heads, fitted again on what the kept state computes of the training data. */
import { abortable } from "../backbones/portable.ts";
import { type Params, Rng } from "../core/index.ts";
import { type Features, fitReadout, headFeatures, sideBySide } from "../fit/index.ts";
import { headBias, headWeight } from "../heads/index.ts";
import { headParameter } from "../model/index.ts";
import type { Encoded, Evaluation, PassShape, Task } from "../tasks/index.ts";
import { itemCount } from "../text/portable.ts";
import { type Blend, evaluateLinear, offeredBlend } from "./blend.ts";
import { comparable, evaluateDev, isBetter, joinEvaluations, type TaskEvaluation } from "./evaluations.ts";
import type { FoldEvent, RefitEvent, WarningEvent } from "./events.ts";
import { devProbe, hasLeftOut, type JudgedProbe, type Judgement, judgeLeftOut } from "./left-out.ts";
import type { Run, RunTask } from "./set-up.ts";
import type { EvaluationRecord } from "./state.ts";

/** What a run keeps. */
export interface KeptState {
  readonly params: Params;
  /** Of these tensors on dev, or of small data without a dev set on left-out rows; absent where neither is there. */
  readonly evaluation: EvaluationRecord | undefined;
  /** How heads were fitted that are kept, by the names of their tasks. */
  readonly fits: Readonly<Record<string, HeadFit>>;
  /** The task of a run of one whose head that is kept also reads the untouched backbone. */
  readonly blended?: Task;
  /** A linear model on the untouched backbone that dev or left-out rows like better. */
  readonly probe?: KeptProbe;
}

/** A probe on all training rows. */
export interface KeptProbe extends Omit<JudgedProbe, "features"> {
  readonly params: Params;
}

/** How a head was fitted: what the adapter says of it. */
interface HeadFit {
  /** Training sequences. */
  readonly rows: number;
  /** Inverse strength of the penalty. */
  readonly strength: number;
}

/**
 * Fits the linear layer of each head, again or in place of updates, and keeps the one of the two that dev likes better, or left-out
 * rows where data is small and there is no dev set. What the prompt has seen cannot tell: on its own training rows it separates
 * anything.
 */
export async function* refitHeads(
  run: Run,
  kept: KeptState,
): AsyncGenerator<RefitEvent | FoldEvent | WarningEvent, KeptState> {
  if (!run.tasks.some((task) => isFitted(run, task))) return kept;
  const isTrained = !run.options.method.fitsHead;
  const fits: Record<string, HeadFit> = {};
  const results: TaskEvaluation[] = [];
  let { params } = kept;
  let probe: KeptProbe | undefined;
  let blended: Task | undefined;
  let leftOut = false;
  for (const task of run.tasks) {
    const { name, inference } = task;
    const evaluate = async (own: Params): Promise<Evaluation | undefined> => {
      await inference?.bind(own);
      return inference && evaluateDev(run, task, inference);
    };
    const started = performance.now();
    const blend = isFitted(run, task) ? await offeredBlend(run, task) : undefined;
    const judged = hasLeftOut(run, task) ? yield* judgeLeftOut(run, task, blend) : undefined;
    leftOut = judged !== undefined;
    const trained = judged ? judged.trained : isTrained ? await evaluate(params) : undefined;
    let evaluation = trained;
    if (isFitted(run, task) && (judged || inference || !isTrained)) {
      const tuned = await tunedFeatures(run, task, params);
      const fit = await fitHead(run, task, task.task, tuned);
      const changed = { ...params, ...fit.params };
      const fitted = judged ? judged.fitted : await evaluate(changed);
      const selectBy = deciding(run, task);
      let winner: RefitEvent["kept"] = "trained";
      if (!(trained && fitted) || isAtLeast(task, selectBy, fitted, trained)) {
        winner = "fitted";
        [params, evaluation] = [changed, fitted];
        fits[name] = { rows: fit.rows, strength: fit.strength };
      }
      const side = blend && (await fitBlend(run, task, params, blend, tuned, judged));
      const heldOut = judged ? itemCount(task.trainSet) : itemCount(task.devSet);
      if (side && evaluation && prefersBlend(task, selectBy, side.evaluation, evaluation, heldOut)) {
        winner = "blended";
        blended = blend.task;
        [params, evaluation] = [{ ...params, ...side.params }, side.evaluation];
        fits[name] = { rows: side.rows, strength: side.strength };
      }
      yield {
        type: "refit",
        ...(name && { task: name }),
        rows: fit.rows,
        features: fit.features,
        strength: fit.strength,
        ...(leftOut && { leftOut }),
        ...(trained && { trained }),
        ...(fitted && { fitted }),
        ...(side && { blended: side.evaluation }),
        ...{ selectBy, taken: winner !== "trained", kept: winner },
        seconds: (performance.now() - started) / 1000,
      };
      if (trained && evaluation) {
        probe = judged
          ? await betterProbe(run, task, judged.probes, evaluation)
          : await betterDevProbe(run, task, evaluation);
        const on = judged ? "rows that were left out" : "dev";
        if (probe)
          yield { type: "warning", code: "probe", message: probeText(probe, selectBy, evaluation, on) };
      }
    }
    if (evaluation) results.push({ name, selectBy: task.selectBy ?? task.task.selectBy, evaluation });
  }
  if (Object.keys(fits).length === 0 && !leftOut) return kept;
  const { step } = kept.evaluation ?? run.progress;
  const at = { step, epoch: step / run.mix.stepsPerEpoch, ...(leftOut && { leftOut }) };
  const evaluation = results.length > 0 ? { ...at, ...joinEvaluations(results) } : undefined;
  return { params, evaluation, fits, ...(blended && { blended }), ...(probe && { probe }) };
}

/**
 * Whether held-out rows like a head on both backbones better: by the score; or by the loss, where the scores differ by less than
 * so many rows can tell, a standard error. The same is not enough, as it costs a second pass.
 */
function prefersBlend(
  task: RunTask,
  selectBy: string,
  blended: Evaluation,
  other: Evaluation,
  rows: number,
): boolean {
  const [own, best] = [blended, other].map(comparableOf(task, selectBy)) as [number, number];
  if (isBetter(own, best)) return true;
  const share = Math.min(1, Math.max(0, best));
  return best - own < Math.sqrt((share * (1 - share)) / rows) && blended.loss < other.loss;
}

/** A head that also reads the untouched backbone, and what held-out rows say of it. */
async function fitBlend(
  run: Run,
  one: RunTask,
  params: Params,
  { task, train, dev }: Blend,
  tuned: Features,
  judged: Judgement | undefined,
): Promise<(FittedHead & { readonly evaluation: Evaluation }) | undefined> {
  const { devSet } = one;
  const fit = await fitHead(run, one, task, sideBySide(tuned, train));
  if (judged?.blended) return { ...fit, evaluation: judged.blended };
  if (dev === undefined) return undefined;
  const own = sideBySide(await tunedFeatures(run, one, params, devSet), dev);
  return { ...fit, evaluation: evaluateLinear(task, devSet, fit.params, own) };
}

/** The best of some probes on all rows, if left-out rows like it better than what the run keeps. */
async function betterProbe(
  { settings, options, backbone }: Run,
  one: RunTask,
  probes: readonly JudgedProbe[],
  kept: Evaluation,
): Promise<KeptProbe | undefined> {
  const scoreOf = comparableOf(one, settings.selectBy);
  const best = probes.reduce((a, b) => (isBetter(scoreOf(b.evaluation), scoreOf(a.evaluation)) ? b : a));
  if (!isBetter(scoreOf(best.evaluation), scoreOf(kept))) return undefined;
  const { features, ...rest } = best;
  const { params } = await fitReadout({
    engine: abortable(backbone, options.signal).engine,
    task: best.task,
    encoded: one.trainSet,
    features,
    outputs: best.outputs,
    rng: new Rng(settings.seed, "probe"),
  });
  return { ...rest, params };
}

/** A probe of the last layer that dev likes better than what a run of one task keeps. */
async function betterDevProbe(run: Run, one: RunTask, kept: Evaluation): Promise<KeptProbe | undefined> {
  const { settings, options } = run;
  if ("tasks" in options) return undefined;
  const probe = await devProbe(run, one);
  const scoreOf = comparableOf(one, settings.selectBy);
  return isBetter(scoreOf(probe.evaluation), scoreOf(kept)) ? probe : undefined;
}

function probeText(
  { task, evaluation }: KeptProbe,
  selectBy: string,
  kept: Evaluation,
  rows: string,
): string {
  const scoreOf = ({ scores, loss }: Evaluation): string =>
    (selectBy === "loss" ? loss : scores[selectBy]!).toFixed(4);
  return (
    `A linear model on the untouched backbone (pooling ${task.options.pooling}) is better on ${rows}: ` +
    `${selectBy} ${scoreOf(evaluation)}, this run ${scoreOf(kept)}. It is there beside the run's adapter.`
  );
}

/** Whether its head is a linear layer of the run's own that is fitted: always, or where dev can choose. */
function isFitted(run: Run, task: RunTask): boolean {
  const { settings, options } = run;
  const { parts, trained, inference, trainSet } = task;
  const { readout } = parts.head;
  if (readout === undefined || !trained.has(headParameter(parts.headName, headWeight))) return false;
  if (options.method.fitsHead) return true;
  return (
    settings.refit === "auto" &&
    readout.isRefitted &&
    (inference !== undefined || hasLeftOut(run, task)) &&
    itemCount(trainSet) > 1
  );
}

/** The score by which one task's heads are compared. */
function deciding({ options, settings: { selectBy } }: Run, task: RunTask): string {
  return "tasks" in options && selectBy !== "loss" ? (task.selectBy ?? task.task.selectBy) : selectBy;
}

/** The number by which evaluations of one task are compared: higher is better. */
function comparableOf({ task }: RunTask, selectBy: string): (evaluation: Evaluation) => number {
  const direction = task.lowerIsBetter?.includes(selectBy) ? "lower" : "higher";
  return (evaluation) => comparable(evaluation, selectBy, direction);
}

/** Whether the first is no worse; where scores are equal, the loss says it. */
function isAtLeast(task: RunTask, selectBy: string, first: Evaluation, second: Evaluation): boolean {
  const [own, other] = [first, second].map(comparableOf(task, selectBy)) as [number, number];
  if (isBetter(own, other)) return true;
  return !isBetter(other, own) && first.loss <= second.loss;
}

/** A fitted linear layer, under the names of the run. */
interface FittedHead extends HeadFit {
  readonly params: Params;
  /** Numbers that it reads of each sequence. */
  readonly features: number;
}

/** What the head's linear layer reads of the rows of a set under some tensors. */
function tunedFeatures(
  run: Run,
  { parts, trained, name, trainSet }: RunTask,
  params: Params,
  encoded: Encoded = trainSet,
): Promise<Features> {
  const { settings, options, cache } = run;
  const own = Object.fromEntries(Object.entries(params).filter(([key]) => trained.has(key)));
  const backbone = abortable(run.backbone, options.signal);
  const isCached = cache !== undefined && cache.trunk.layers > 0;
  const lower = isCached && { trunk: cache.trunk, feeds: (pass: PassShape) => cache.feeds(encoded, pass) };
  return headFeatures(
    {
      parts: { ...parts, backbone },
      params: own,
      maxLength: settings.maxLength,
      rng: refitRng(settings.seed, name),
      ...(lower && { lower }),
    },
    encoded,
  );
}

const refitRng = (seed: number, name: string): Rng => new Rng(seed, "refit", ...(name ? [name] : []));

/** @param task whose loss it minimises, with a head that reads these features */
async function fitHead(
  { settings, options, backbone }: Run,
  { parts, trainSet, name, shapes }: RunTask,
  task: Task,
  features: Features,
): Promise<FittedHead> {
  const nameOf = (own: string): string => headParameter(parts.headName, own);
  const fit = await fitReadout({
    engine: abortable(backbone, options.signal).engine,
    task,
    encoded: trainSet,
    features,
    outputs: shapes[nameOf(headWeight)]!.shape[0]!,
    rng: refitRng(settings.seed, name),
  });
  const { [headWeight]: weight, [headBias]: bias } = fit.params;
  return {
    params: { [nameOf(headWeight)]: weight!, [nameOf(headBias)]: bias! },
    rows: features.rows.length,
    features: features.width,
    strength: fit.strength,
  };
}
