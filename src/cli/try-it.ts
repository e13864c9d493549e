import { isAbsolute } from "node:path";
import { firstPath } from "../config/index.ts";
import { pathWord, shellCommand } from "../core/index.ts";
import type { RunFolder } from "../runs/index.ts";
import type { Task } from "../tasks/index.ts";

/**
 * The command that asks a new adapter something; it works when it is pasted.
 * @param head name of the task, "" where there is one
 * @param example of those that it learnt from
 */
export function predictCommandLine(
  { adapterFolder, config }: Pick<RunFolder, "adapterFolder" | "config">,
  head: string,
  task: Task,
  example: unknown,
): string {
  const { backbone } = config;
  return shellCommand(
    ...["ptuning", "predict", pathWord(adapterFolder)],
    ...(head ? ["--head", head] : []),
    // The adapter knows the name of its backbone, not where a folder is.
    ...(isAbsolute(backbone) ? ["--backbone", backbone] : []),
    ...wordsToTry(task, example, "data" in config ? firstPath(config.data) : undefined),
  );
}

/** What to ask: a text, a pair where it learnt pairs, or the rows that it learnt from. */
function wordsToTry(task: Task, example: unknown, file: string | undefined): readonly string[] {
  const { pair, context } = (example ?? {}) as { readonly pair?: string; readonly context?: string };
  if (task.fromText === undefined) return ["--input", pathWord(file ?? "FILE")];
  if (context !== undefined) return ["What is asked?", "--pair", "A passage that answers."];
  return pair === undefined ? ["a text of your own"] : ["a text of your own", "--pair", "and another"];
}
