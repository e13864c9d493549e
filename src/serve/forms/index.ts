import type { Task } from "../../tasks/index.ts";
import { answerForms } from "./answers.ts";
import type { AnswerForm, InputForm } from "./form.ts";
import { inputForms } from "./inputs.ts";

export * from "./form.ts";
export { answerForms };

/** How a task's examples and answers stand in requests and responses. */
export interface TaskForms {
  readonly input: InputForm;
  readonly answer: AnswerForm;
}

export function formsOf({ type, reads }: Task): TaskForms {
  // Every family has a form: a test holds the two lists equal.
  return { input: inputForms[reads] as InputForm, answer: answerForms[type]! };
}
