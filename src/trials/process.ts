import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { TrialTrainEvent } from "./events.ts";
import type { TrialError } from "./result.ts";

/** How a process ended. */
export interface ProcessEnd {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the command line said of an error. */
  readonly error?: TrialError;
  /** The end of standard error. */
  readonly stderr: string;
}

/** Kept of standard error: enough for the stack of a defect. */
const stderrCharacters = 4000;

/** How long a process may take to end that was asked to: its current step, and an evaluation. */
const stopMs = 5 * 60_000;

const relayed: ReadonlySet<string> = new Set(["start", "trunk", "step", "evaluation", "warning"]);

/**
 * Runs `ptuning train … --json` in a process of its own and hands on its events. The process is asked to stop when
 * `signal` aborts, and ends by itself when this one does. One that tells nothing for longer than `silenceMs` is ended.
 */
export async function* trainProcess(
  args: readonly string[],
  cwd: string,
  signal: AbortSignal,
  silenceMs: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<TrialTrainEvent, ProcessEnd> {
  // "#cli" is an entry of package.json: the process runs built code also when a test runs sources.
  const path = createRequire(import.meta.url).resolve("#cli");
  const child = spawn(process.execPath, [path, "train", ...args, "--json"], {
    cwd,
    // A group of its own: Ctrl-C on a terminal reaches this process alone, which asks the child once.
    detached: true,
    // The channel carries no messages: that it closes tells the child that nobody waits any more.
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill("SIGTERM");
    // Code that never gives way, such as a pattern without an end, hears nothing.
    killer ??= setTimeout(() => child.kill("SIGKILL"), stopMs);
  };
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  let stderr = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-stderrCharacters);
  });
  let error: TrialError | undefined;
  const tooLong = (): void => {
    error = {
      code: "KILLED",
      message: `the process of the trial told nothing for ${Math.round(silenceMs / 1000)} s, and was ended.`,
      hint: "A pattern that never ends is a reason (data.labelPattern); a longer --silence-minutes where it only took long.",
    };
    child.kill("SIGKILL");
  };
  const isLimited = Number.isFinite(silenceMs);
  let timer = isLimited ? setTimeout(tooLong, silenceMs) : undefined;
  try {
    for await (const line of createInterface({ input: child.stdout! })) {
      if (isLimited) {
        clearTimeout(timer);
        timer = setTimeout(tooLong, silenceMs);
      }
      const event = parseLine(line);
      if (event === undefined) continue;
      if (event.type === "error") {
        const { type, ...rest } = event;
        error = rest;
      } else if (relayed.has(event.type)) yield event as TrialTrainEvent;
    }
    const [code, endedBy] = await ended;
    return { code, signal: endedBy, ...(error && { error }), stderr };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    stop();
    await ended;
    clearTimeout(killer);
  }
}

type Line = TrialTrainEvent | ({ readonly type: "error" } & TrialError);

/** A killed process may leave half a line. */
function parseLine(line: string): Line | undefined {
  try {
    return JSON.parse(line) as Line;
  } catch {
    return undefined;
  }
}
