/** Probabilities that mean something: a temperature of the task's own, and how far they and shares of right answers lie apart. */
import * as z from "zod";
import { PtuningError } from "../core/index.ts";
import { CalibrationMetrics } from "../metrics/index.ts";
import { argmax, sigmoid, topProbability } from "./logits.ts";
import type { ReliabilityPlot } from "./review.ts";
import type { TunedOptions } from "./task.ts";
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

/** Options of which some may be set to `undefined`. */
type Given<T> = { readonly [K in keyof T]: T[K] | undefined };

/** One sort of labelled rows: what is decided in each, and how their temperature is found. */
interface RowKind<R> {
  find(rows: readonly R[]): number | undefined;
  /** The probability of each decision, and whether what it is of is right. */
  decisions(row: R, temperature: number): Iterable<readonly [confidence: number, isRight: boolean]>;
}

/** One class of several: the probability of the one that is answered. */
export const classRows: RowKind<ClassRow> = {
  find: softmaxTemperature,
  decisions: ({ logits, gold }, temperature) => [
    [topProbability(logits, temperature), argmax(logits) === gold],
  ],
};

/** Any number of labels: the probability of each. */
export const labelRows: RowKind<LabelsRow> = {
  find: sigmoidTemperature,
  decisions: ({ logits, gold }, temperature) =>
    Array.from(logits, (logit, label) => [sigmoid(logit / temperature), gold[label] === 1] as const),
};

/** What is known of the temperature of a task before an evaluation found one, and what is made of it. */
export interface Calibration<R> {
  /** As options hold it. */
  readonly options: CalibrationOptions;
  /** Whether evaluations are to find one. */
  readonly isOpen: boolean;
  /** The options with what an evaluation found; the temperature is 1 where none did. */
  settled(found: TunedOptions): { readonly temperature: number };
  /** Looks for the temperature in labelled rows, where it is open; says so where it was asked for and cannot be had. */
  search(rows: readonly R[]): { readonly tuned: TunedOptions; readonly remarks: readonly string[] };
  /** Gathers the calibration error under a temperature. */
  metrics(
    temperature: number,
  ): { readonly add: (row: R) => void } & Pick<CalibrationMetrics, "result" | "bins">;
  /** How reliable probabilities are, for reports: as the logits have them, and with the temperature of the options. */
  review(rows: readonly R[]): readonly ReliabilityPlot[];
}

/**
 * @param preset whose settings the task has: other implementations know no temperature, so that it is 1 unless it is said
 * @throws OPTION_INVALID if the temperature is out of range
 */
export function calibrationOf<R>(
  kind: RowKind<R>,
  { temperature, preset }: Given<CalibrationOptions & { readonly preset?: string }>,
): Calibration<R> {
  const { least, most } = temperatureRange;
  const wanted = temperature ?? (preset === undefined ? "tuned" : 1);
  const isOpen = wanted === "tuned";
  if (!isOpen && !(wanted >= least && wanted <= most)) {
    throw new PtuningError(
      "OPTION_INVALID",
      `temperature: expected "tuned" or ${least} to ${most}, got ${wanted}.`,
    );
  }
  const settled = (found: TunedOptions): { readonly temperature: number } => ({
    temperature: isOpen ? Number(found.temperature ?? 1) : wanted,
  });
  const metrics = (applied: number): ReturnType<Calibration<R>["metrics"]> => {
    const gathered = new CalibrationMetrics();
    return {
      add(row) {
        for (const [confidence, isRight] of kind.decisions(row, applied)) gathered.add(confidence, isRight);
      },
      result: () => gathered.result(),
      bins: () => gathered.bins(),
    };
  };
  return {
    options: temperature === undefined ? {} : { temperature },
    isOpen,
    settled,
    search(rows) {
      const found = isOpen ? kind.find(rows) : undefined;
      const isMissed = temperature === "tuned" && found === undefined;
      const remark = `temperature: expected at least ${leastExamples} labelled dev examples to find one, got ${rows.length}: it is 1.`;
      return {
        tuned: found === undefined ? {} : { temperature: found },
        remarks: isMissed ? [remark] : [],
      };
    },
    metrics,
    review(rows) {
      if (rows.length === 0) return [];
      const own = settled({}).temperature;
      const curves = [...new Set([1, own])].map((applied) => {
        const gathered = metrics(applied);
        for (const row of rows) gathered.add(row);
        return { temperature: applied, ece: gathered.result().ece!, bins: gathered.bins() };
      });
      const isTooFew = own === 1 && rows.length < leastExamples;
      const note = `Fewer than ${leastExamples} examples tell no temperature: probabilities are as the logits have them.`;
      return [{ title: "Reliability of probabilities", curves, ...(isTooFew && { note }) }];
    },
  };
}
