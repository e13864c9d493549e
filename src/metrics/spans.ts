import { PtuningError } from "../core/index.ts";
import { decodeTags, type TypedSpan } from "../data/portable.ts";
import { type FScore, fScore, macroAverage, ratio, weightedAverage } from "./f-score.ts";
import type { MetricAccumulator, Scores } from "./metric.ts";

/** Scores of spans, per type and on average: seqeval's `classification_report`. */
export interface SpanReport {
  /** By type, sorted; every type that occurs in gold or in predictions. */
  readonly types: Readonly<Record<string, FScore>>;
  /** Over all spans alike. */
  readonly micro: FScore;
  /** Mean over the types. */
  readonly macro: FScore;
  /** Mean over the types, by their number of gold spans. */
  readonly weighted: FScore;
}

interface SpanCounts {
  hits: number;
  predicted: number;
  gold: number;
}

/**
 * Scores of tagged sentences: a span is right if its words and its type are. `f1`, `precision` and `recall` are
 * micro-averages over all spans, `tagAccuracy` is the share of words with the right tag. Tags are read as
 * {@link decodeTags} reads them, so the scores equal seqeval's in its default mode (and conlleval's); tags of BILOU
 * count as their namesakes of IOBES.
 */
export class SpanMetrics implements MetricAccumulator<readonly string[], readonly string[]> {
  readonly #types = new Map<string, SpanCounts>();
  #words = 0;
  #rightTags = 0;

  /**
   * @param predicted a tag for each word of one sentence, in any scheme, also another than `gold`
   * @throws DATA_INVALID if the numbers of tags differ or a tag belongs to no scheme
   */
  add(predicted: readonly string[], gold: readonly string[]): void {
    if (predicted.length !== gold.length) {
      throw new PtuningError(
        "DATA_INVALID",
        `tags: expected one predicted tag per word, ${gold.length}, got ${predicted.length}.`,
      );
    }
    const key = ({ type, start, end }: TypedSpan): string => `${start} ${end} ${type}`;
    const [predictedSpans, goldSpans] = [decodeTags(predicted), decodeTags(gold)];
    const right = new Set(goldSpans.map(key));
    for (const span of goldSpans) this.#counts(span.type).gold++;
    for (const span of predictedSpans) {
      const counts = this.#counts(span.type);
      counts.predicted++;
      if (right.has(key(span))) counts.hits++;
    }
    this.#words += gold.length;
    this.#rightTags += gold.filter((tag, i) => tag === predicted[i]).length;
  }

  merge(other: SpanMetrics): void {
    for (const [type, { hits, predicted, gold }] of other.#types) {
      const counts = this.#counts(type);
      counts.hits += hits;
      counts.predicted += predicted;
      counts.gold += gold;
    }
    this.#words += other.#words;
    this.#rightTags += other.#rightTags;
  }

  #counts(type: string): SpanCounts {
    let counts = this.#types.get(type);
    if (counts === undefined) {
      counts = { hits: 0, predicted: 0, gold: 0 };
      this.#types.set(type, counts);
    }
    return counts;
  }

  /**
   * Every span counts unless its type is left out, as the predicate's own `V` in semantic role labelling.
   *
   * @example
   * const metrics = new SpanMetrics();
   * metrics.add(["B-V", "B-ARG1", "I-ARG1"], ["B-V", "B-ARG1", "O"]);
   * metrics.report().micro.f1; // 0.5
   * metrics.report({ without: ["V"] }).micro.f1; // 0
   */
  report({ without = [] }: { readonly without?: readonly string[] } = {}): SpanReport {
    const counts = [...this.#types]
      .filter(([type]) => !without.includes(type))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const types = counts.map(([type, { hits, predicted, gold }]) => {
      return [type, fScore(hits, predicted, gold)] as const;
    });
    const sum = (key: keyof SpanCounts): number => counts.reduce((total, [, each]) => total + each[key], 0);
    const scores = types.map(([, score]) => score);
    return {
      types: Object.fromEntries(types),
      micro: fScore(sum("hits"), sum("predicted"), sum("gold")),
      macro: macroAverage(scores),
      weighted: weightedAverage(scores),
    };
  }

  result(): Scores {
    const { f1, precision, recall } = this.report().micro;
    return { f1, precision, recall, tagAccuracy: ratio(this.#rightTags, this.#words) };
  }
}
