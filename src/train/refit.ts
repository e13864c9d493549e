/** The linear layers of heads, fitted again on what the kept state computes of the training data. */
import { abortable } from "../backbones/portable.ts";
import { type Params, Rng } from "../core/index.ts";
import { type Features, fitReadout } from "../fit/index.ts";
import { headBias, headWeight } from "../heads/index.ts";
import { featuresGraph, featuresOutput, headParameter } from "../model/index.ts";
import { evaluateSession, outputs } from "../predict/index.ts";
import type { Evaluation } from "../tasks/index.ts";
import { itemCount, itemRows } from "../text/portable.ts";
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
export interface HeadFit {
  /** Training sequences. */
  readonly rows: number;
  /** Inverse strength of the penalty. */
  readonly strength: number;
}

/** More training items than these are drawn from: a linear layer gains little from more, and memory stays flat. */
const mostItems = 20_000;

/**
 * Fits the linear layer of each head again, and keeps the one of the two that dev likes better. What the prompt has seen
 * cannot tell: on its own training rows it separates anything.
 */
export async function refitHeads(
  run: Run,
  kept: KeptState,
): Promise<{ readonly kept: KeptState; readonly events: readonly RefitEvent[] }> {
  const events: RefitEvent[] = [];
  if (kept.evaluation === undefined || !run.tasks.some((task) => isRefitted(run, task))) {
    return { kept, events };
  }
  const fits: Record<string, HeadFit> = {};
  const results: TaskEvaluation[] = [];
  let { params } = kept;
  for (const task of run.tasks) {
    if (task.inference === undefined) continue;
    const { name } = task;
    const trained = await evaluateHead(run, task, params);
    let evaluation = trained;
    if (isRefitted(run, task)) {
      const started = performance.now();
      const fit = await fitHead(run, task, params);
      const changed = { ...params, ...fit.params };
      const fitted = await evaluateHead(run, task, changed);
      const selectBy = deciding(run, task);
      const taken = isAtLeast(task, selectBy, fitted, trained);
      events.push({
        type: "refit",
        ...(name && { task: name }),
        rows: fit.rows,
        features: fit.features,
        strength: fit.strength,
        ...{ trained, fitted, selectBy, taken },
        seconds: (performance.now() - started) / 1000,
      });
      if (taken) {
        [params, evaluation] = [changed, fitted];
        fits[name] = { rows: fit.rows, strength: fit.strength };
      }
    }
    results.push({ name, selectBy: task.selectBy ?? task.task.selectBy, evaluation });
  }
  if (Object.keys(fits).length === 0) return { kept, events };
  const { step, epoch } = kept.evaluation;
  return { kept: { params, evaluation: { step, epoch, ...joinEvaluations(results) }, fits }, events };
}

/** Whether its head is a linear layer that was trained, and that dev can choose. */
function isRefitted({ settings }: Run, { parts, trained, inference, trainSet }: RunTask): boolean {
  return (
    settings.refit === "auto" &&
    parts.head.readout?.isRefitted === true &&
    inference !== undefined &&
    trained.has(headParameter(parts.headName, headWeight)) &&
    itemCount(trainSet) > 1
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
  { inference, task, devSet }: RunTask,
  params: Params,
): Promise<Evaluation> {
  await inference!.bind(params);
  return evaluateSession(inference!, task, devSet, run.backbone, run.settings.maxLength, (pass) =>
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
  const { parts, trainSet } = task;
  const rng = new Rng(run.settings.seed, "refit", ...(task.name ? [task.name] : []));
  const features = await featuresOf(run, task, params, rng);
  const nameOf = (name: string): string => headParameter(parts.headName, name);
  const { engine } = abortable(run.backbone, run.options.signal);
  const fit = await fitReadout({
    engine,
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

/** What the head's linear layer reads of the training data, or of as much as is drawn of it. */
async function featuresOf(
  { backbone, settings, options, cache }: Run,
  { parts, trained, trainSet }: RunTask,
  params: Params,
  rng: Rng,
): Promise<Features> {
  const own = Object.fromEntries(Object.entries(params).filter(([name]) => trained.has(name)));
  const lower = cache && cache.trunk.layers > 0 ? cache : undefined;
  const graph = featuresGraph(parts, own, lower?.trunk);
  const width = graph.outputs.get(featuresOutput)!.shape[1] as number;
  const all = Int32Array.from({ length: itemCount(trainSet) }, (_, item) => item);
  const items = all.length > mostItems ? rng.split("items").shuffle(all).slice(0, mostItems).sort() : all;
  const rows = itemRows(trainSet, items);
  const data = new Float32Array(rows.length * width);
  const places = new Map(Array.from(rows, (row, place) => [row, place]));
  await using session = await abortable(backbone, options.signal).engine.compile(graph);
  await session.bind(own);
  const passes = outputs(
    session,
    featuresOutput,
    trainSet.sequences,
    backbone,
    settings.maxLength,
    (pass) => lower?.feeds(trainSet, pass) ?? {},
    rows,
  );
  for await (const pass of passes) {
    for (const [b, row] of pass.rows.entries()) {
      data.set(pass.values.subarray(b * width, (b + 1) * width), places.get(row)! * width);
    }
  }
  return { width, rows, data };
}
