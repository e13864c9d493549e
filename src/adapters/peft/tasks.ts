import { PtuningError } from "../../core/index.ts";
import {
  questionAnswering,
  sequenceClassification,
  type Task,
  textRegression,
  tokenClassification,
} from "../../tasks/index.ts";

/** What PEFT's adapters of one `task_type` are for. */
interface PeftTask {
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
      // As transformers reads tags; whether these are of IOB2 is not known.
      return tokenClassification({ labels, decoding: "argmax" }) as Task;
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
