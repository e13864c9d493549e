import { PtuningError } from "../core/index.ts";
import { type QuestionAnsweringOptions, questionAnswering } from "./question-answering.ts";
import { type SemanticRoleOptions, semanticRoles } from "./semantic-roles.ts";
import type { Task } from "./task.ts";
import { type SequenceClassificationOptions, sequenceClassification } from "./text-classification.ts";
import { type TokenClassificationOptions, tokenClassification } from "./token-classification.ts";

type Options = Readonly<Record<string, unknown>>;

/** Every task family, by its name in configs and adapters. */
export const tasks: Readonly<Record<string, (options: Options) => Task>> = {
  "text-classification": (options) =>
    sequenceClassification(options as Options & SequenceClassificationOptions) as Task,
  "token-classification": (options) =>
    tokenClassification(options as Options & TokenClassificationOptions) as Task,
  "semantic-roles": (options) => semanticRoles(options as Options & SemanticRoleOptions) as Task,
  "question-answering": (options) => questionAnswering(options as Options & QuestionAnsweringOptions) as Task,
};

/**
 * A task from its type and options, as a config or an adapter holds them.
 * @throws OPTION_INVALID if there is no such task
 */
export function taskFrom(type: string, options: Options): Task {
  const make = Object.hasOwn(tasks, type) ? tasks[type] : undefined;
  if (make === undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `task: expected one of ${Object.keys(tasks).join(", ")}, got "${type}".`,
    );
  }
  return make(options);
}
