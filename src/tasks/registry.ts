import { closest, PtuningError, parseOptions } from "../core/index.ts";
import { answerSelectionFamily } from "./answer-selection.ts";
import { candidateRankingFamily } from "./candidate-ranking.ts";
import type { TaskFamily, TaskOptions } from "./family.ts";
import { multiLabelFamily } from "./multi-label.ts";
import { multipleChoiceFamily } from "./multiple-choice.ts";
import { questionAnsweringFamily } from "./question-answering.ts";
import { regressionFamily } from "./regression.ts";
import { semanticRolesFamily } from "./semantic-roles.ts";
import type { Task } from "./task.ts";
import { textClassificationFamily } from "./text-classification.ts";
import { tokenClassificationFamily } from "./token-classification.ts";

/** Every task family. Where data fits several, the first is taken. */
export const taskFamilies: readonly TaskFamily[] = [
  candidateRankingFamily,
  answerSelectionFamily,
  textClassificationFamily,
  multiLabelFamily,
  regressionFamily,
  multipleChoiceFamily,
  tokenClassificationFamily,
  semanticRolesFamily,
  questionAnsweringFamily,
];

/**
 * The family of a name.
 * @throws OPTION_INVALID if there is none
 */
export function familyOf(type: string): TaskFamily {
  const found = taskFamilies.find((family) => family.type === type);
  if (found !== undefined) return found;
  const types = taskFamilies.map((family) => family.type);
  const near = closest(type, types);
  throw new PtuningError("OPTION_INVALID", `task: expected one of ${types.join(", ")}, got "${type}".`, {
    ...(near !== undefined && { hint: `Did you mean "${near}"?` }),
  });
}

/**
 * A task from its type and options, as an adapter holds them.
 * @throws OPTION_INVALID if there is no such task, or its options are not such
 */
export function taskFrom(type: string, options: TaskOptions): Task {
  const { saved, create } = familyOf(type);
  return create(parseOptions(saved, options, "task.options"));
}
