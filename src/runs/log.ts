import { appendFile, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import type { RunLog } from "../report/index.ts";
import type { EvaluationEvent, RefitEvent, StartEvent, StepEvent, WarningEvent } from "../train/index.ts";
import { names } from "./names.ts";
import { isReplaced } from "./replace.ts";

type LoggedEvent =
  | StartEvent
  | StepEvent
  | EvaluationEvent
  | RefitEvent
  | WarningEvent
  | { readonly type: "done" };

/** An event of a log, and where its line ends. */
interface LogLine {
  readonly event: LoggedEvent;
  /** First byte behind the line. */
  readonly end: number;
  /** Lines before it that no event can be read from. */
  readonly damagedBefore: number;
}

/**
 * The events of a log, line by line. What is no event, as a crash or a power cut leaves it (half a line, zeros, bytes of
 * something else), is passed over, wherever it stands, and counted.
 */
async function readLog(path: string): Promise<{ lines: LogLine[]; damaged: number; bytes: Buffer }> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  const lines: LogLine[] = [];
  let damaged = 0;
  for (let start = 0; start < bytes.length; ) {
    const at = bytes.indexOf("\n", start);
    const end = at < 0 ? bytes.length : at + 1;
    const text = bytes.toString("utf8", start, end);
    // Behind zeros, which a file system may have put in place of what was never written, the log went on.
    const event = eventIn(text.replace(/^.*\0/s, ""));
    if (event !== undefined) lines.push({ event, end, damagedBefore: damaged });
    else if (text.trim() !== "") damaged++;
    start = end;
  }
  return { lines, damaged, bytes };
}

function eventIn(line: string): LoggedEvent | undefined {
  try {
    const event = JSON.parse(line);
    return isEvent(event) ? event : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether a value is an event with what readers take from it. */
function isEvent(value: unknown): value is LoggedEvent {
  if (!isObject(value) || typeof value.type !== "string") return false;
  const hasStep = Number.isSafeInteger(value.step) && (value.step as number) >= 0;
  switch (value.type) {
    case "start":
      return isObject(value.settings) && isObject(value.inventory);
    case "step":
      return hasStep;
    case "evaluation":
      return hasStep && isObject(value.scores);
    case "refit":
      return [value.trained ?? { scores: {} }, value.fitted ?? { scores: {} }].every(
        (one) => isObject(one) && isObject(one.scores),
      );
    case "warning":
      return typeof value.message === "string";
    default:
      return true;
  }
}

function damagedLines(count: number): string {
  const lines = count === 1 ? "1 line" : `${count} lines`;
  return `${names.events}: ${lines} could not be read and ${count === 1 ? "was" : "were"} left out.`;
}

/** What a log lacks of the updates up to `last`. */
function missingSteps(has: number, last: number): string {
  return `${names.events}: ${last - has} of ${last} updates are not in it; curves and times lack them.`;
}

/**
 * What a log tells: the whole course of a run, however often it was resumed; nothing where there is none yet.
 */
export async function readRunLog(folder: string): Promise<RunLog> {
  // The log of a run that was given up for another is not that one's.
  const isOld = await isReplaced(folder);
  const { lines, damaged } = isOld ? { lines: [], damaged: 0 } : await readLog(join(folder, names.events));
  let start: StartEvent | undefined;
  const steps: StepEvent[] = [];
  const evaluations: EvaluationEvent[] = [];
  // Of a run that was resumed behind them, the last.
  const refits = new Map<string | undefined, RefitEvent>();
  const warnings = new Set<string>();
  for (const { event } of lines) {
    if (event.type === "start") start = event;
    else if (event.type === "step") steps.push(event);
    else if (event.type === "evaluation") evaluations.push(event);
    else if (event.type === "refit") refits.set(event.task, event);
    else if (event.type === "warning") warnings.add(event.message);
  }
  // A run that goes on says from where.
  const last = steps.reduce((most, { step }) => Math.max(most, step), start?.startStep ?? 0);
  const problems = [
    ...(damaged > 0 ? [damagedLines(damaged)] : []),
    ...(steps.length < last ? [missingSteps(steps.length, last)] : []),
  ];
  return {
    ...(start && { start }),
    steps,
    evaluations,
    refits: [...refits.values()],
    warnings: [...warnings],
    problems,
  };
}

/**
 * Keeps the log up to the last event at or before `step`, where a run goes on; what a crash cut off goes too.
 * @returns what the log lacks, for people
 */
export async function cutRunLog(folder: string, step: number): Promise<string[]> {
  const path = join(folder, names.events);
  const { lines, bytes } = await readLog(path);
  let kept: LogLine | undefined;
  let [steps, last] = [0, 0];
  for (const line of lines) {
    if ("step" in line.event) last = line.event.step;
    if (last > step) break;
    if (line.event.type === "step") steps++;
    kept = line;
  }
  const end = kept?.end ?? 0;
  if (end < bytes.length) await truncate(path, end);
  // An event whose line end was lost is one all the same; the next one begins a line.
  if (end > 0 && bytes[end - 1] !== 0x0a) await appendFile(path, "\n");
  const problems: string[] = [];
  if (kept !== undefined && kept.damagedBefore > 0) problems.push(damagedLines(kept.damagedBefore));
  if (steps < step) problems.push(missingSteps(steps, step));
  return problems;
}
