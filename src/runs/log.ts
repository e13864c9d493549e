import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunLog } from "../report/index.ts";
import type { EvaluationEvent, StartEvent, StepEvent, WarningEvent } from "../train/index.ts";
import { names } from "./names.ts";
import { isReplaced } from "./replace.ts";

/**
 * What a log tells: the whole course of a run, however often it was resumed; nothing where there is none yet.
 * A line that a crash cut off ends it.
 */
export async function readRunLog(folder: string): Promise<RunLog> {
  // The log of a run that was given up for another is not that one's.
  const isOld = await isReplaced(folder);
  const text = isOld ? "" : await readFile(join(folder, names.events), "utf8").catch(() => "");
  let start: StartEvent | undefined;
  const steps: StepEvent[] = [];
  const evaluations: EvaluationEvent[] = [];
  const warnings = new Set<string>();
  for (const line of text.split("\n")) {
    const event = parseLine(line);
    if (event === undefined) break;
    if (event.type === "start") start = event;
    else if (event.type === "step") steps.push(event);
    else if (event.type === "evaluation") evaluations.push(event);
    else if (event.type === "warning") warnings.add(event.message);
  }
  return { ...(start && { start }), steps, evaluations, warnings: [...warnings] };
}

type LoggedEvent = StartEvent | StepEvent | EvaluationEvent | WarningEvent | { readonly type: "done" };

function parseLine(line: string): LoggedEvent | undefined {
  try {
    return JSON.parse(line) as LoggedEvent;
  } catch {
    return undefined;
  }
}
