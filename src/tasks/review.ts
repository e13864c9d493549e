import type { ReliabilityBin } from "../metrics/index.ts";
import type { HeadOutput } from "./task.ts";

/** How often each gold label was answered with each label. */
export interface ConfusionMatrix {
  readonly title: string;
  readonly labels: readonly string[];
  /** `counts[gold][predicted]`. */
  readonly counts: readonly (readonly number[])[];
}

/** A small table of figures: a cell per column; shares and scores are numbers from 0 to 1. */
export interface ReviewTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** Numbers that were predicted, each over its gold number. */
export interface ScatterPlot {
  readonly title: string;
  readonly points: readonly (readonly [gold: number, predicted: number])[];
}

/** Shares of right answers over the probabilities that they were given, before and with a temperature. */
export interface ReliabilityPlot {
  readonly title: string;
  readonly curves: readonly {
    readonly temperature: number;
    /** Expected calibration error. */
    readonly ece: number;
    readonly bins: readonly ReliabilityBin[];
  }[];
  /** What to know of it. */
  readonly note?: string;
}

/** How well one example was answered. */
export interface ReviewedExample {
  /** Its number among the examples that were encoded. */
  readonly index: number;
  /** Its share of the loss, unweighted. */
  readonly loss: number;
  /** Gold answer and prediction as a person reads them. */
  readonly gold: string;
  readonly predicted: string;
}

/** What a report shows of an evaluation beside its scores. It may quote examples: it goes into reports only. */
export interface Review {
  readonly matrices: readonly ConfusionMatrix[];
  readonly tables: readonly ReviewTable[];
  readonly scatters?: readonly ScatterPlot[];
  readonly reliability?: readonly ReliabilityPlot[];
  /** Those with a gold answer, in any order. */
  readonly examples: readonly ReviewedExample[];
}

/** Gathers logits pass by pass, in any order, and looks at each example. */
export interface Reviewer {
  add(output: HeadOutput): void;
  finish(): Review;
}
