import type { Session } from "../engine/index.ts";
import type { Scores } from "../metrics/index.ts";
import { headParameter } from "../model/index.ts";
import { evaluateSession } from "../predict/index.ts";
import type { Evaluation } from "../tasks/index.ts";
import type { StartEvent } from "./events.ts";
import { meanScore } from "./options.ts";
import type { Run, RunTask } from "./set-up.ts";

/** The dev evaluation of one task of a run. */
export interface TaskEvaluation {
  /** "" where it is the only one. */
  readonly name: string;
  readonly selectBy: string;
  readonly evaluation: Evaluation;
}

/**
 * The evaluation of a run from those of its tasks: scores as `NAME/SCORE`, and the mean of the scores that the tasks
 * select by; that of the only task as it is.
 */
export function joinEvaluations(results: readonly TaskEvaluation[]): Evaluation {
  if (results[0]!.name === "") return results[0]!.evaluation;
  const mean = (value: (result: TaskEvaluation) => number): number =>
    results.reduce((sum, result) => sum + value(result), 0) / results.length;
  const remarks = results.flatMap(({ name, evaluation }) =>
    (evaluation.remarks ?? []).map((remark) => `${name}: ${remark}`),
  );
  const scores = results.flatMap(({ name, evaluation }) =>
    Object.entries(evaluation.scores).map(([score, value]) => [headParameter(name, score), value]),
  );
  return {
    scores: {
      [meanScore]: mean(({ selectBy, evaluation }) => evaluation.scores[selectBy]!),
      ...Object.fromEntries(scores),
    },
    loss: mean(({ evaluation }) => evaluation.loss),
    collapsed: results.some(({ evaluation }) => evaluation.collapsed),
    tuned: Object.fromEntries(results.map(({ name, evaluation }) => [name, evaluation.tuned ?? {}])),
    ...(remarks.length > 0 && { remarks }),
  };
}

/** Scores a task's dev set with the tensors that its session has bound. */
export function evaluateDev(
  { backbone, settings, cache }: Run,
  { task, devSet }: RunTask,
  inference: Session,
): Promise<Evaluation> {
  return evaluateSession(inference, task, devSet, backbone, settings.maxLength, (pass) =>
    cache ? cache.feeds(devSet, pass) : {},
  );
}

/**
 * The number by which evaluations are compared: higher is better.
 * @param selectBy a score, or the loss
 */
export function comparable(
  { scores, loss }: Pick<Evaluation, "scores" | "loss">,
  selectBy: string,
  direction: "higher" | "lower" | undefined,
): number {
  if (selectBy === "loss") return -loss;
  return direction === "lower" ? -scores[selectBy]! : scores[selectBy]!;
}

/** What is no number, as the correlation of equal predictions, is worse than any. */
export function isBetter(score: number, than: number): boolean {
  return score > than || (Number.isNaN(than) && !Number.isNaN(score));
}

/** What a joined evaluation holds of one task; all of it where there is only one. */
export function evaluationOf(
  name: string,
  { scores, tuned = {} }: Pick<Evaluation, "scores" | "tuned">,
): Required<Pick<Evaluation, "scores" | "tuned">> {
  if (name === "") return { scores, tuned };
  const prefix = headParameter(name, "");
  const own = Object.entries(scores).filter(([score]) => score.startsWith(prefix));
  return {
    scores: Object.fromEntries(own.map(([score, value]) => [score.slice(prefix.length), value])),
    tuned: (tuned[name] ?? {}) as Readonly<Record<string, unknown>>,
  };
}

/** Of the scores of several tasks their mean, and that of each which goes into it; all scores of only one. */
export function decisiveScores(scores: Scores, tasks: StartEvent["tasks"]): Scores {
  if (tasks === undefined) return scores;
  const own = Object.entries(tasks).map(([name, { selectBy }]) => headParameter(name, selectBy));
  return Object.fromEntries(
    [meanScore, ...own].flatMap((name) => (name in scores ? [[name, scores[name]!]] : [])),
  );
}
