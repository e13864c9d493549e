import { type AnswerScore, answerScore, answerWords } from "./answer-text.ts";
import { ratio } from "./f-score.ts";
import type { MetricAccumulator, Scores } from "./metric.ts";

/** A predicted answer to one question. */
export interface AnswerPrediction {
  /** `""` where the question is said to have no answer. */
  readonly text: string;
  /** The greater, the less likely is there an answer: a probability, or a difference of logits. */
  readonly noAnswerScore?: number;
}

interface Question extends AnswerScore {
  readonly hasAnswer: boolean;
  /** No text was predicted. */
  readonly isEmpty: boolean;
  readonly noAnswerScore: number | undefined;
}

/**
 * Scores of SQuAD 1.1 and 2.0: `exactMatch` and `f1`, each the best over the gold answers, averaged over the
 * questions; with questions of both kinds also `hasAnswer…` and `noAnswer…`, over the questions with and without
 * gold answers. A question without gold answers is answered rightly by `""`.
 *
 * Where predictions have a `noAnswerScore`, also the best scores that a threshold on it could reach, with it:
 * `bestExactMatch`, `bestExactMatchThreshold`, `bestF1`, `bestF1Threshold`. They equal `find_best_thresh` of the
 * official script: questions are switched from "no answer" to their text one by one, by rising score, also
 * those of equal score. To answer nothing at all is, there, a threshold of 0; that is kept unless a score is
 * negative, where one below all scores is meant.
 *
 * All equal the official script (as in transformers' `squad_metrics.py`), which multiplies them by 100.
 */
export class AnswerMetrics implements MetricAccumulator<AnswerPrediction, readonly string[]> {
  readonly #noAnswerThreshold: number;
  readonly #questions: Question[] = [];

  /** @param noAnswerThreshold a prediction whose `noAnswerScore` exceeds it counts as "no answer"; default never */
  constructor(noAnswerThreshold: number = Number.POSITIVE_INFINITY) {
    this.#noAnswerThreshold = noAnswerThreshold;
  }

  /** @param gold the texts of the gold answers; `[]` where there is none */
  add({ text, noAnswerScore }: AnswerPrediction, gold: readonly string[]): void {
    const worded = gold.filter((answer) => answerWords(answer).length > 0);
    this.#questions.push({
      ...answerScore(text, worded.length === 0 ? [""] : worded),
      hasAnswer: gold.length > 0,
      isEmpty: text === "",
      noAnswerScore,
    });
  }

  merge(other: AnswerMetrics): void {
    for (const question of other.#questions) this.#questions.push(question);
  }

  result(): Scores {
    const scored = this.#questions.map((question) => {
      const { exactMatch, f1, hasAnswer, noAnswerScore = 0 } = question;
      if (noAnswerScore <= this.#noAnswerThreshold) return { exactMatch, f1, hasAnswer };
      const right = hasAnswer ? 0 : 1;
      return { exactMatch: right, f1: right, hasAnswer };
    });
    const scores: Record<string, number> = { ...means(scored) };
    const [answered, unanswered] = [true, false].map((has) =>
      scored.filter(({ hasAnswer }) => hasAnswer === has),
    );
    if (answered!.length > 0 && unanswered!.length > 0) {
      const [has, no] = [means(answered!), means(unanswered!)];
      Object.assign(scores, { hasAnswerExactMatch: has.exactMatch, hasAnswerF1: has.f1 });
      Object.assign(scores, { noAnswerExactMatch: no.exactMatch, noAnswerF1: no.f1 });
    }
    if (this.#questions.some(({ noAnswerScore }) => noAnswerScore !== undefined)) {
      const [exactMatch, f1] = [this.#best("exactMatch"), this.#best("f1")];
      Object.assign(scores, {
        bestExactMatch: exactMatch.score,
        bestExactMatchThreshold: exactMatch.threshold,
        bestF1: f1.score,
        bestF1Threshold: f1.threshold,
      });
    }
    return scores;
  }

  #best(key: keyof AnswerScore): { readonly score: number; readonly threshold: number } {
    const sorted = this.#questions
      .map((question) => ({ ...question, noAnswerScore: question.noAnswerScore ?? 0 }))
      .sort((a, b) => a.noAnswerScore - b.noAnswerScore);
    const lowest = sorted[0]?.noAnswerScore ?? 0;
    let score = sorted.filter(({ hasAnswer }) => !hasAnswer).length;
    let best = { score, threshold: lowest < 0 ? lowest - 1 : 0 };
    for (const { hasAnswer, isEmpty, noAnswerScore, [key]: gain } of sorted) {
      if (hasAnswer) score += gain;
      else if (!isEmpty) score--;
      if (score > best.score) best = { score, threshold: noAnswerScore };
    }
    return { score: ratio(best.score, sorted.length), threshold: best.threshold };
  }
}

function means(scores: readonly AnswerScore[]): AnswerScore {
  const mean = (key: keyof AnswerScore): number =>
    ratio(
      scores.reduce((sum, score) => sum + score[key], 0),
      scores.length,
    );
  return { exactMatch: mean("exactMatch"), f1: mean("f1") };
}
