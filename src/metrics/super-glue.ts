/** Scores of the SuperGLUE tasks whose examples belong together; the rows may come in any order. */
import { answerScore } from "./answer-text.ts";
import { ClassificationMetrics } from "./classification.ts";
import { ratio } from "./f-score.ts";
import type { MetricAccumulator, Scores } from "./metric.ts";

/** What is right for one answer option of a MultiRC question. */
export interface OptionGold {
  /** Names the question that the option belongs to. */
  readonly question: string;
  /** Whether it answers the question. */
  readonly isAnswer: boolean;
}

/**
 * MultiRC: `f1a`, F1 of "is an answer" over all options; `f1m`, the questions' macro-F1 over both classes (those
 * that occur), averaged; `exactMatch`, share of the questions with every option right (Khashabi et al. 2018, as
 * SuperGLUE's script has it).
 */
export class MultiRCMetrics implements MetricAccumulator<boolean, OptionGold> {
  readonly #all = new ClassificationMetrics(2, { scores: ["f1"] });
  readonly #questions = new Map<string, ClassificationMetrics>();

  add(predicted: boolean, { question, isAnswer }: OptionGold): void {
    this.#all.add(Number(predicted), Number(isAnswer));
    this.#question(question).add(Number(predicted), Number(isAnswer));
  }

  merge(other: MultiRCMetrics): void {
    this.#all.merge(other.#all);
    for (const [question, metrics] of other.#questions) this.#question(question).merge(metrics);
  }

  #question(name: string): ClassificationMetrics {
    const metrics = this.#questions.get(name) ?? new ClassificationMetrics(2);
    this.#questions.set(name, metrics);
    return metrics;
  }

  result(): Scores {
    const questions = [...this.#questions.values()].map((metrics) => metrics.result());
    const f1m = questions.reduce((sum, { macroF1 }) => sum + macroF1!, 0);
    const exact = questions.filter(({ accuracy }) => accuracy === 1).length;
    return {
      f1a: this.#all.result().f1!,
      f1m: ratio(f1m, questions.length),
      exactMatch: ratio(exact, questions.length),
    };
  }
}

/** One entity that may fill the gap of a ReCoRD query. */
export interface Candidate {
  readonly text: string;
  /** The candidate with the greatest score is the prediction. */
  readonly score: number;
}

/** What is right for one ReCoRD query. */
export interface QueryGold {
  /** Names the query that the candidate belongs to. */
  readonly query: string;
  readonly answers: readonly string[];
}

/**
 * ReCoRD: `f1` and `exactMatch` of each query's best candidate against the gold answers (best over them), averaged
 * over the queries (Zhang et al. 2018). Of candidates with equal scores the first in string order is taken.
 */
export class RecordMetrics implements MetricAccumulator<Candidate, QueryGold> {
  readonly #queries = new Map<string, { readonly best: Candidate; readonly answers: readonly string[] }>();

  add(candidate: Candidate, { query, answers }: QueryGold): void {
    const best = this.#queries.get(query)?.best;
    const isBetter =
      best === undefined ||
      candidate.score > best.score ||
      (candidate.score === best.score && candidate.text < best.text);
    if (isBetter) this.#queries.set(query, { best: candidate, answers });
  }

  merge(other: RecordMetrics): void {
    for (const [query, { best, answers }] of other.#queries) this.add(best, { query, answers });
  }

  result(): Scores {
    let [f1, exactMatch] = [0, 0];
    for (const { best, answers } of this.#queries.values()) {
      const score = answerScore(best.text, answers);
      f1 += score.f1;
      exactMatch += score.exactMatch;
    }
    return { f1: ratio(f1, this.#queries.size), exactMatch: ratio(exactMatch, this.#queries.size) };
  }
}
