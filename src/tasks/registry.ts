import { closest, PtuningError, parseOptions } from "../core/index.ts";
import { answerSelectionFamily } from "./answer-selection.ts";
import { candidateRankingFamily } from "./candidate-ranking.ts";
import type { TaskFamily, TaskOptions } from "./family.ts";
import { multiLabelFamily } from "./multi-label.ts";
import { multipleChoiceFamily } from "./multiple-choice.ts";
import { questionAnswering, questionAnsweringFamily } from "./question-answering.ts";
import { regressionFamily, textRegression } from "./regression.ts";
import { semanticRolesFamily } from "./semantic-roles.ts";
import type { Task } from "./task.ts";
import { sequenceClassification, textClassificationFamily } from "./text-classification.ts";
import { tokenClassification, tokenClassificationFamily } from "./token-classification.ts";

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

/** What PEFT's adapters of one `task_type` are for. */
export interface PeftTask {
  /** What its names of the linear layer start with. */
  readonly module: string;
  /**
   * @param outputs of the linear layer @param labels their names, which PEFT does not save
   * @throws OPTION_INVALID if they do not name the outputs
   */
  create(outputs: number, labels?: readonly string[]): Task;
}

/** The tasks of adapters that PEFT saved, by its `task_type`. */
export const peftTasks: Readonly<Record<string, PeftTask>> = {
  SEQ_CLS: {
    module: "base_model.classifier",
    create(outputs, given) {
      // transformers takes a head with one output for regression.
      if (outputs === 1 && given === undefined) return textRegression({ preset: "peft" }) as Task;
      const labels = given ?? Array.from({ length: outputs }, (_, i) => `LABEL_${i}`);
      checkNames(outputs === 1 ? 0 : outputs, labels);
      return sequenceClassification({ labels, preset: "peft" }) as Task;
    },
  },
  TOKEN_CLS: {
    module: "base_model.classifier",
    create(outputs, labels = []) {
      checkNames(outputs, labels);
      return tokenClassification({ labels }) as Task;
    },
  },
  QUESTION_ANS: {
    module: "base_model.qa_outputs",
    create(_, labels = []) {
      checkNames(0, labels);
      return questionAnswering({ tokenTypes: false }) as Task;
    },
  },
};

function checkNames(outputs: number, { length }: readonly string[]): void {
  if (length === outputs) return;
  throw new PtuningError("OPTION_INVALID", `labels: expected ${outputs} names, got ${length}.`, {
    hint: "They are those that the adapter was trained with, in the same order; PEFT does not save them.",
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
