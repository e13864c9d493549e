/** Classification of candidate answers, several to a question: what MultiRC and ReCoRD have in common. */
import * as z from "zod";
import { PtuningError } from "../core/index.ts";
import type { TextExample } from "../data/index.ts";
import { type Calibration, calibrationOf, classRows } from "./calibration.ts";
import type { ClassRow } from "./temperature.ts";
import {
  type ClassOptions,
  classificationKind,
  classSettings,
  type TextPrediction,
} from "./text-classification.ts";
import type { TextKind } from "./text-task.ts";

/** Settings of tasks on candidates. */
export interface CandidateOptions extends Omit<ClassOptions, "outOfScope" | "abstain"> {
  /** Label of candidates that are right. Default: the last, which of 0 and 1, false and true, no and yes it is. */
  readonly positive?: string;
}

/** Keys of such tasks in a configuration. */
export const candidateSettings: z.core.$ZodLooseShape = {
  ...classSettings,
  positive: z
    .string()
    .exactOptional()
    .describe("label of candidates that are right; default: the last in the alphabet"),
};

/** Binary classification, and the number of the label that says "right". */
export function candidateKind(
  type: string,
  options: CandidateOptions,
): {
  readonly kind: TextKind<number, TextPrediction>;
  readonly calibration: Calibration<ClassRow>;
  readonly positive: number;
} {
  const { positive = options.labels.at(-1), ...rest } = options;
  const kind = classificationKind(type, rest);
  const number = options.labels.indexOf(positive!);
  if (options.labels.length !== 2 || number < 0) {
    throw new PtuningError(
      "OPTION_INVALID",
      `${type}: expected two labels and one of them as positive, got ${options.labels.slice(0, 10).join(", ")} and ${positive}.`,
    );
  }
  return {
    kind: { ...kind, options: { ...kind.options, positive } },
    calibration: calibrationOf(classRows, options),
    positive: number,
  };
}

/**
 * The question that a candidate belongs to.
 * @throws DATA_INVALID if it says of none
 */
export function groupOf({ group, line }: TextExample): string {
  if (group !== undefined) return group;
  throw new PtuningError(
    "DATA_INVALID",
    `${line === undefined ? "example" : `line ${line}`}: expected a group, got none.`,
    { hint: "Name the column that candidates of one question share: data.group." },
  );
}
