import { PtuningError } from "../core/index.ts";
import type { Task } from "./task.ts";
import { type SequenceClassificationOptions, sequenceClassification } from "./text-classification.ts";

/** Every task family, by its name in configs and adapters. */
export const tasks: Readonly<Record<string, (options: Readonly<Record<string, unknown>>) => Task>> = {
  "text-classification": (options) =>
    sequenceClassification(
      options as Readonly<Record<string, unknown>> & SequenceClassificationOptions,
    ) as Task,
};

/**
 * A task from its type and options, as a config or an adapter holds them.
 * @throws OPTION_INVALID if there is no such task
 */
export function taskFrom(type: string, options: Readonly<Record<string, unknown>>): Task {
  const make = Object.hasOwn(tasks, type) ? tasks[type] : undefined;
  if (make === undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `task: expected one of ${Object.keys(tasks).join(", ")}, got "${type}".`,
    );
  }
  return make(options);
}
