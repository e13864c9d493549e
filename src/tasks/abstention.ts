/** Answers that are left open where their probability is too small. */
import * as z from "zod";
import { PtuningError } from "../core/index.ts";
import type { TunedOptions } from "./task.ts";

/** The setting of tasks that may leave a text without an answer. */
export interface AbstentionOptions {
  /** Left out, every text is answered. */
  readonly abstain?: Abstain;
}

/** At least one of both; a threshold that is given is not looked for. */
export interface Abstain {
  /** The share of right answers that is wanted of those that are given; dev finds the threshold. */
  readonly precision?: number;
  /** An answer is given where its probability is at least this. */
  readonly threshold?: number;
}

/** Its key in a configuration. */
export const abstentionSettings: z.core.$ZodLooseShape = {
  abstain: z
    .strictObject({
      precision: z.number().gt(0).max(1).exactOptional(),
      threshold: z.number().min(0).max(1).exactOptional(),
    })
    .refine(
      ({ precision, threshold }) => (precision ?? threshold) !== undefined,
      "expected a precision or a threshold",
    )
    .exactOptional()
    .describe(
      "{precision: 0.95} answers only what is so sure that on dev this share is right; or {threshold: 0.8}",
    ),
};

/** What is known of the threshold before an evaluation found one. */
export interface Abstention {
  /** As options hold it. */
  readonly options: AbstentionOptions;
  /** Whether evaluations are to find one. */
  readonly isOpen: boolean;
  /** The options with what an evaluation found; every text is answered where none did. */
  settled(found: TunedOptions): AbstentionOptions;
  /** The least probability that is answered with these options: 0 without any. */
  threshold(found: TunedOptions): number;
}

/** @throws OPTION_INVALID if neither a precision nor a threshold is said, or one that is no share */
export function abstentionOf(abstain: Abstain | undefined): Abstention {
  if (abstain === undefined) {
    return { options: {}, isOpen: false, settled: () => ({}), threshold: () => 0 };
  }
  const { precision, threshold } = abstain;
  const isShare = (value: number | undefined): boolean => value === undefined || (value >= 0 && value <= 1);
  if (
    (precision ?? threshold) === undefined ||
    !isShare(precision) ||
    precision === 0 ||
    !isShare(threshold)
  ) {
    throw new PtuningError(
      "OPTION_INVALID",
      `abstain: expected a precision or a threshold from 0 to 1, got ${JSON.stringify(abstain)}.`,
    );
  }
  const isOpen = threshold === undefined;
  const settled = ({ abstain: found }: TunedOptions): Required<AbstentionOptions> => ({
    abstain: isOpen ? { ...abstain, threshold: 0, ...(found as Abstain | undefined) } : abstain,
  });
  return {
    options: { abstain },
    isOpen,
    settled,
    threshold: (found) => settled(found).abstain.threshold!,
  };
}

/** An answer with its probability. */
export interface GradedAnswer {
  readonly confidence: number;
  readonly isRight: boolean;
}

/** A threshold, and what it makes of the answers that it was found on. */
interface FoundThreshold {
  readonly threshold: number;
  /** Share of right ones among the answers from it on. */
  readonly precision: number;
  /** How many these are. */
  readonly answered: number;
}

/**
 * The smallest threshold from which on the wanted share of answers is right; where none has it, the one with the greatest
 * share. It lies halfway between the least probability that is answered and the greatest that is not, and at 0 where all
 * are answered. Probabilities that are not numbers are never answered. `undefined` where there is none to answer.
 */
function abstainThreshold(answers: readonly GradedAnswer[], precision: number): FoundThreshold | undefined {
  const sorted = answers
    .filter(({ confidence }) => !Number.isNaN(confidence))
    .toSorted((a, b) => b.confidence - a.confidence);
  let best: FoundThreshold | undefined;
  let hits = 0;
  for (const [i, { confidence, isRight }] of sorted.entries()) {
    if (isRight) hits++;
    const next = sorted[i + 1]?.confidence;
    if (next !== undefined && confidence - next < equal) continue;
    const found = hits / (i + 1);
    if (best !== undefined && found < Math.min(precision, best.precision)) continue;
    best = { threshold: next === undefined ? 0 : (confidence + next) / 2, precision: found, answered: i + 1 };
  }
  return best;
}

/** Probabilities that lie nearer are the same but for rounding: they are answered together. */
const equal = 1e-9;

/** What an evaluation finds for a wanted precision, and what the user should know of it. */
export function searchAbstention(
  answers: readonly GradedAnswer[],
  { precision = 1 }: Abstain,
): { readonly tuned: TunedOptions; readonly remarks: readonly string[] } {
  const found = abstainThreshold(answers, precision);
  if (found === undefined) {
    const none = `abstain: expected held-out answers to find a threshold for a precision of ${precision}, got none: every text is answered.`;
    return { tuned: {}, remarks: [none] };
  }
  const isReached = found.precision >= precision;
  return {
    tuned: { abstain: { precision, threshold: found.threshold } },
    remarks: isReached
      ? []
      : [
          `abstain: no threshold reaches a precision of ${precision} on dev. The best is ${found.precision.toFixed(4)}, with ` +
            `${found.answered} of ${answers.length} answers given: that threshold is taken.`,
        ],
  };
}
