import * as z from "zod";
import { PtuningError } from "../core/index.ts";
import type { TextExample } from "../data/index.ts";
import { RecordMetrics } from "../metrics/index.ts";
import { type CandidateOptions, candidateKind, candidateSettings, groupOf } from "./candidates.ts";
import { family, type TaskFamily } from "./family.ts";
import type { Task } from "./task.ts";
import { resolveClasses, savedClasses, type TextPrediction } from "./text-classification.ts";
import { type EncodedTexts, textTask } from "./text-task.ts";

/** A candidate as text classification sees it, and whether it is the best of its question. */
export interface CandidatePrediction extends TextPrediction {
  readonly candidate: string;
  readonly chosen: boolean;
}

/**
 * The best candidate of each question (ReCoRD): binary classification of each; the one with the largest logit for
 * "right" is the answer, and its text is scored against the gold answers (paper section 1.11).
 *
 * @throws OPTION_INVALID if there are not two labels; DATA_INVALID if candidates lack their text or question
 */
export function candidateRanking(
  options: CandidateOptions,
): Task<TextExample, EncodedTexts<number>, CandidatePrediction> {
  const { kind, calibration, positive } = candidateKind("candidate-ranking", options);
  const { trivial, lowerIsBetter, sideScores, ...classification } = kind;
  return textTask<number, CandidatePrediction>({
    ...classification,
    scores: ["f1", "exactMatch"],
    selectBy: "f1",
    tune: (found) => candidateRanking({ ...options, ...calibration.settled(found) }),
    scorer({ examples }) {
      const metrics = new RecordMetrics();
      return {
        add(row, logits) {
          const { answers = [] } = examples[row]!;
          const candidate = { text: candidateOf(examples[row]!), score: logits[positive]! };
          metrics.add(candidate, { query: groupOf(examples[row]!), answers });
        },
        // One label for all candidates is no collapse: what counts is their order.
        result: () => ({ scores: metrics.result(), collapsed: false }),
      };
    },
    predict: (logits) => ({ ...kind.predict(logits), candidate: "", chosen: false }),
    compare(predictions, { examples }, logits) {
      const best = new Map<string, number>();
      for (const [i, example] of examples.entries()) {
        const leader = best.get(groupOf(example));
        const isBetter =
          leader === undefined ||
          logits[i]![positive]! > logits[leader]![positive]! ||
          (logits[i]![positive]! === logits[leader]![positive]! &&
            candidateOf(example) < candidateOf(examples[leader]!));
        if (isBetter) best.set(groupOf(example), i);
      }
      const chosen = new Set(best.values());
      return predictions.map((prediction, i) => ({
        ...prediction,
        candidate: candidateOf(examples[i]!),
        chosen: chosen.has(i),
      }));
    },
    columns: (detailed) => [{ title: "chosen" }, { title: "candidate" }, ...kind.columns(detailed)],
    cells: ({ candidate, chosen, ...prediction }, detailed) => ({
      chosen: chosen ? "*" : "",
      candidate,
      ...kind.cells(prediction, detailed),
    }),
    blank: { ...kind.blank, candidate: null, chosen: false },
  });
}

function candidateOf({ candidate, line }: TextExample): string {
  if (candidate !== undefined) return candidate;
  throw new PtuningError(
    "DATA_INVALID",
    `${line === undefined ? "example" : `line ${line}`}: expected a candidate, got none.`,
  );
}

/** Candidate ranking, for the registry. */
export const candidateRankingFamily: TaskFamily = family<
  TextExample,
  Omit<CandidateOptions, "labels">,
  CandidateOptions
>({
  type: "candidate-ranking",
  title: "the best of the candidate answers of a question",
  reads: "text",
  hasPresets: true,
  settings: z.strictObject(candidateSettings),
  saved: z.strictObject({ ...candidateSettings, ...savedClasses }),
  fits: (examples) =>
    examples.every(
      ({ group, candidate, answers }) =>
        group !== undefined && candidate !== undefined && answers !== undefined,
    ),
  resolve: resolveClasses,
  create: (options) => candidateRanking(options) as Task,
  sample: { labels: ["0", "1"] },
});
