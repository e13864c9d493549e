/** Probabilities that mean something: a temperature of the task's own, and how far they and shares of right answers lie apart. */
import * as z from "zod";
import { PtuningError } from "../core/index.ts";
import { CalibrationMetrics, type Scores } from "../metrics/index.ts";
import { argmax, sigmoid, softmax } from "./logits.ts";
import type { ReliabilityPlot } from "./review.ts";
import type { Evaluation } from "./task.ts";
import {
  type ClassRow,
  type LabelsRow,
  leastExamples,
  sigmoidTemperature,
  softmaxTemperature,
  temperatureRange,
} from "./temperature.ts";

/** The setting of tasks whose answers have probabilities. */
export interface CalibrationOptions {
  /**
   * Logits are divided by it before they become probabilities; what is answered stays the same. `"tuned"`, the default,
   * takes the one with the least log loss on dev, which the adapter then holds; 1 where dev has fewer than 50 examples.
   */
  readonly temperature?: number | "tuned";
}

/** Its key in a configuration. */
export const calibrationSettings: z.core.$ZodLooseShape = {
  temperature: z
    .union([z.number().min(temperatureRange.least).max(temperatureRange.most), z.literal("tuned")])
    .exactOptional()
    .describe("divides logits before they become probabilities; tuned: the best one on dev"),
};

/** What is known of the temperature before an evaluation found one. */
export interface Calibration {
  /** As options hold it. */
  readonly options: CalibrationOptions;
  /** The one of predictions. */
  readonly temperature: number;
  /** Whether evaluations are to find one. */
  readonly isOpen: boolean;
  /** The options with what an evaluation found; the temperature is 1 where none did. */
  settled(found: Readonly<Record<string, unknown>>): Required<CalibrationOptions>;
}

/** @throws OPTION_INVALID if the temperature is out of range */
export function calibrationOf({
  temperature,
}: {
  readonly [K in keyof CalibrationOptions]: CalibrationOptions[K] | undefined;
}): Calibration {
  const { least, most } = temperatureRange;
  const isOpen = temperature === undefined || temperature === "tuned";
  if (!isOpen && !(temperature >= least && temperature <= most)) {
    throw new PtuningError(
      "OPTION_INVALID",
      `temperature: expected "tuned" or ${least} to ${most}, got ${temperature}.`,
    );
  }
  return {
    options: temperature === undefined ? {} : { temperature },
    temperature: isOpen ? 1 : temperature,
    isOpen,
    settled: (found) => ({ temperature: isOpen ? Number(found.temperature ?? 1) : temperature }),
  };
}

/** How one sort of rows becomes a temperature and probabilities that are right or not. */
interface RowKind<R> {
  find(rows: readonly R[]): number | undefined;
  /** Tells each probability of a row, and whether what it is of is right. */
  decisions(row: R, temperature: number): Iterable<readonly [confidence: number, isRight: boolean]>;
}

/** One class of several: the probability of the one that is answered. */
export const classRows: RowKind<ClassRow> = {
  find: softmaxTemperature,
  decisions({ logits, gold }, temperature) {
    const best = argmax(logits);
    return [[softmax(logits, temperature)[best]!, best === gold]];
  },
};

/** Any number of labels: the probability of each. */
export const labelRows: RowKind<LabelsRow> = {
  find: sigmoidTemperature,
  decisions: ({ logits, gold }, temperature) =>
    Array.from(logits, (logit, label) => [sigmoid(logit / temperature), gold[label] === 1] as const),
};

/** Gathers labelled logits; those of a task that has its temperature are not kept. */
export class CalibrationScorer<R> {
  readonly #kind: RowKind<R>;
  readonly #calibration: Calibration;
  readonly #rows: R[] = [];
  readonly #metrics: CalibrationMetrics = new CalibrationMetrics();

  constructor(kind: RowKind<R>, calibration: Calibration) {
    this.#kind = kind;
    this.#calibration = calibration;
  }

  add(row: R): void {
    if (this.#calibration.isOpen) this.#rows.push(row);
    else this.#score(this.#metrics, row, this.#calibration.temperature);
  }

  /** Scores under the temperature that the task has, or that suits these rows best. */
  result(): { readonly scores: Scores; readonly temperature: number } & Pick<Evaluation, "tuned"> {
    const { isOpen, temperature } = this.#calibration;
    if (!isOpen) return { scores: this.#metrics.result(), temperature };
    const found = this.#kind.find(this.#rows);
    const metrics = new CalibrationMetrics();
    for (const row of this.#rows) this.#score(metrics, row, found ?? 1);
    return {
      scores: metrics.result(),
      temperature: found ?? 1,
      tuned: found === undefined ? {} : { temperature: found },
    };
  }

  #score(metrics: CalibrationMetrics, row: R, temperature: number): void {
    for (const [confidence, isRight] of this.#kind.decisions(row, temperature))
      metrics.add(confidence, isRight);
  }
}

/** How reliable probabilities are, for reports: as the logits have them, and with the temperature. */
export function reliability<R>(
  kind: RowKind<R>,
  rows: readonly R[],
  { temperature }: Calibration,
): readonly ReliabilityPlot[] {
  if (rows.length === 0) return [];
  const curves = [...new Set([1, temperature])].map((applied) => {
    const metrics = new CalibrationMetrics();
    for (const row of rows) {
      for (const [confidence, isRight] of kind.decisions(row, applied)) metrics.add(confidence, isRight);
    }
    return { temperature: applied, ece: metrics.result().ece!, bins: metrics.bins() };
  });
  const isTooFew = temperature === 1 && rows.length < leastExamples;
  return [
    {
      title: "Reliability of probabilities",
      curves,
      ...(isTooFew && {
        note: `Fewer than ${leastExamples} examples tell no temperature: probabilities are as the logits have them.`,
      }),
    },
  ];
}
