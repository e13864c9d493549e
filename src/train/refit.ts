/** The linear layers of heads, fitted again on what the kept state computes of the training data. */
import { abortable } from "../backbones/portable.ts";
import { type Params, Rng } from "../core/index.ts";
import type { Session } from "../engine/index.ts";
import { fitReadout, headFeatures } from "../fit/index.ts";
import { headBias, headWeight } from "../heads/index.ts";
import { headParameter } from "../model/index.ts";
import { evaluateSession } from "../predict/index.ts";
import type { Evaluation, PassShape } from "../tasks/index.ts";
import { itemCount } from "../text/portable.ts";
import { comparable, isBetter, joinEvaluations, type TaskEvaluation } from "./evaluations.ts";
import type { RefitEvent } from "./events.ts";
import type { Run, RunTask } from "./set-up.ts";
import type { EvaluationRecord } from "./state.ts";

/** What a run keeps. */
export interface KeptState {
  readonly params: Params;
  /** Of these tensors on dev; absent where there is no dev set. */
  readonly evaluation: EvaluationRecord | undefined;
  /** How heads were fitted that are kept, by the names of their tasks. */
  readonly fits: Readonly<Record<string, HeadFit>>;
}

/** How a head was fitted: what the adapter says of it. */
interface HeadFit {
  /** Training sequences. */
  readonly rows: number;
  /** Inverse strength of the penalty. */
  readonly strength: number;
}

/**
 * Fits the linear layer of each head, again or in place of updates, and keeps the one of the two that dev likes better. What
 * the prompt has seen cannot tell: on its own training rows it separates anything.
 */
export async function* refitHeads(run: Run, kept: KeptState): AsyncGenerator<RefitEvent, KeptState> {
  if (!run.tasks.some((task) => isFitted(run, task))) return kept;
  const isTrained = !run.options.method.fitsHead;
  const fits: Record<string, HeadFit> = {};
  const results: TaskEvaluation[] = [];
  let { params } = kept;
  for (const task of run.tasks) {
    const { name, inference } = task;
    const evaluate = (own: Params): Promise<Evaluation> | undefined =>
      inference && evaluateHead(run, task, inference, own);
    const trained = isTrained ? await evaluate(params) : undefined;
    let evaluation = trained;
    if (isFitted(run, task)) {
      const started = performance.now();
      const fit = await fitHead(run, task, params);
      const changed = { ...params, ...fit.params };
      const fitted = await evaluate(changed);
      const selectBy = deciding(run, task);
      const taken = !(trained && fitted) || isAtLeast(task, selectBy, fitted, trained);
      if (taken) {
        [params, evaluation] = [changed, fitted];
        fits[name] = { rows: fit.rows, strength: fit.strength };
      }
      yield {
        type: "refit",
        ...(name && { task: name }),
        rows: fit.rows,
        features: fit.features,
        strength: fit.strength,
        ...(trained && { trained }),
        ...(fitted && { fitted }),
        ...{ selectBy, taken, seconds: (performance.now() - started) / 1000 },
      };
    }
    if (evaluation) results.push({ name, selectBy: task.selectBy ?? task.task.selectBy, evaluation });
  }
  if (Object.keys(fits).length === 0) return kept;
  const { step } = kept.evaluation ?? run.progress;
  const at = { step, epoch: step / run.mix.stepsPerEpoch };
  return {
    params,
    evaluation: results.length > 0 ? { ...at, ...joinEvaluations(results) } : undefined,
    fits,
  };
}

/** Whether its head is a linear layer of the run's own that is fitted: always, or where dev can choose. */
function isFitted({ settings, options }: Run, { parts, trained, inference, trainSet }: RunTask): boolean {
  const { readout } = parts.head;
  if (readout === undefined || !trained.has(headParameter(parts.headName, headWeight))) return false;
  if (options.method.fitsHead) return true;
  return (
    settings.refit === "auto" && readout.isRefitted && inference !== undefined && itemCount(trainSet) > 1
  );
}

/** The score by which one task's heads are compared. */
function deciding({ options, settings: { selectBy } }: Run, task: RunTask): string {
  return "tasks" in options && selectBy !== "loss" ? (task.selectBy ?? task.task.selectBy) : selectBy;
}

/** Whether the first is no worse; where scores are equal, the loss says it. */
function isAtLeast({ task }: RunTask, selectBy: string, first: Evaluation, second: Evaluation): boolean {
  const direction = task.lowerIsBetter?.includes(selectBy) ? "lower" : "higher";
  const [own, other] = [comparable(first, selectBy, direction), comparable(second, selectBy, direction)];
  if (isBetter(own, other)) return true;
  return !isBetter(other, own) && first.loss <= second.loss;
}

/** The dev evaluation of a task with these tensors, which are then those of its session. */
async function evaluateHead(
  run: Run,
  { task, devSet }: RunTask,
  inference: Session,
  params: Params,
): Promise<Evaluation> {
  await inference.bind(params);
  return evaluateSession(inference, task, devSet, run.backbone, run.settings.maxLength, (pass) =>
    run.cache ? run.cache.feeds(devSet, pass) : {},
  );
}

/** A fitted linear layer, under the names of the run. */
interface FittedHead extends HeadFit {
  readonly params: Params;
  /** Numbers that it reads of each sequence. */
  readonly features: number;
}

async function fitHead(run: Run, task: RunTask, params: Params): Promise<FittedHead> {
  const { settings, options, cache } = run;
  const { parts, trainSet, trained } = task;
  const rng = new Rng(settings.seed, "refit", ...(task.name ? [task.name] : []));
  const own = Object.fromEntries(Object.entries(params).filter(([name]) => trained.has(name)));
  const backbone = abortable(run.backbone, options.signal);
  const isCached = cache !== undefined && cache.trunk.layers > 0;
  const lower = isCached && { trunk: cache.trunk, feeds: (pass: PassShape) => cache.feeds(trainSet, pass) };
  const features = await headFeatures(
    {
      parts: { ...parts, backbone },
      params: own,
      maxLength: settings.maxLength,
      rng,
      ...(lower && { lower }),
    },
    trainSet,
  );
  const nameOf = (name: string): string => headParameter(parts.headName, name);
  const fit = await fitReadout({
    engine: backbone.engine,
    task: task.task,
    encoded: trainSet,
    features,
    outputs: params[nameOf(headWeight)]!.shape[0]!,
    rng,
  });
  const { [headWeight]: weight, [headBias]: bias } = fit.params;
  return {
    params: { [nameOf(headWeight)]: weight!, [nameOf(headBias)]: bias! },
    rows: features.rows.length,
    features: features.width,
    strength: fit.strength,
  };
}
