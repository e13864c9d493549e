import * as z from "zod";
import type { TextExample } from "../data/index.ts";
import { ClassificationMetrics, MultiRCMetrics } from "../metrics/index.ts";
import { type CandidateOptions, candidateKind, candidateSettings, groupOf } from "./candidates.ts";
import { family, type TaskFamily } from "./family.ts";
import { argmax } from "./logits.ts";
import type { Task } from "./task.ts";
import { resolveClasses, savedClasses, type TextPrediction } from "./text-classification.ts";
import { type EncodedTexts, textTask } from "./text-task.ts";

/**
 * Every candidate answer of a question is right or wrong by itself, and any number of them may be right (MultiRC):
 * binary classification, scored by `f1a` over all candidates and by whole questions.
 *
 * @throws OPTION_INVALID if there are not two labels
 */
export function answerSelection(
  options: CandidateOptions,
): Task<TextExample, EncodedTexts<number>, TextPrediction> {
  const { kind, calibration, positive } = candidateKind("answer-selection", options);
  return textTask({
    ...kind,
    scores: ["f1a", "f1m", "exactMatch", "accuracy", "ece"],
    selectBy: "f1a",
    tune: (found) => answerSelection({ ...options, ...calibration.settled(found) }),
    scorer({ examples }, tuned) {
      const questions = new MultiRCMetrics();
      const all = new ClassificationMetrics(kind.width, { scores: ["accuracy"] });
      const probabilities = calibration.metrics(calibration.settled(tuned).temperature);
      const seen = new Set<number>();
      return {
        add(row, logits, gold) {
          const predicted = argmax(logits);
          seen.add(gold);
          all.add(predicted, gold);
          probabilities.add({ logits, gold });
          questions.add(predicted === positive, {
            question: groupOf(examples[row]!),
            isAnswer: gold === positive,
          });
        },
        result: () => ({
          scores: { ...questions.result(), ...all.result(), ...probabilities.result() },
          collapsed: seen.size > 1 && all.predictedLabels === 1,
        }),
      };
    },
  });
}

/** Answer selection, for the registry. */
export const answerSelectionFamily: TaskFamily = family<
  TextExample,
  Omit<CandidateOptions, "labels">,
  CandidateOptions
>({
  type: "answer-selection",
  title: "which candidate answers of a question are right, any number of them",
  reads: "text",
  hasPresets: true,
  settings: z.strictObject(candidateSettings),
  saved: z.strictObject({ ...candidateSettings, ...savedClasses }),
  fits: (examples) =>
    examples.every(
      ({ label, group, candidate }) => label !== undefined && group !== undefined && candidate !== undefined,
    ),
  resolve: resolveClasses,
  create: (options) => answerSelection(options) as Task,
  sample: { labels: ["0", "1"] },
});
