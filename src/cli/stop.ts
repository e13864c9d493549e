import { readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { exitCodes } from "./exit.ts";
import { note } from "./terminal.ts";

/** What Ctrl-C, SIGTERM and SIGHUP ask for. */
interface Stopping {
  /**
   * Aborts at the first signal; a second one does not wait: what is saved stays whole. Until a command takes it, signals have
   * their usual effect: there is nothing to put in order yet.
   */
  readonly signal: AbortSignal;
  /** What the process ends with, after a signal. */
  readonly exitCode: number | undefined;
  /** What is told at the first signal. */
  says(message: string): void;
}

const codes: { readonly [S in NodeJS.Signals]?: number } = {
  SIGINT: exitCodes.interrupted,
  SIGTERM: exitCodes.terminated,
  SIGHUP: exitCodes.hungUp,
};

function listen(): Stopping {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let message = "Stopping …";
  let isListening = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.kill(process.pid, "SIGKILL");
    exitCode = codes[signal]!;
    note(message);
    controller.abort();
  };
  return {
    get signal() {
      if (!isListening) {
        process.on("SIGINT", stop).on("SIGTERM", stop);
        if (!isUnderNohup()) process.on("SIGHUP", stop);
      }
      isListening = true;
      return controller.signal;
    },
    get exitCode() {
      return exitCode;
    },
    says(text) {
      message = text;
    },
  };
}

/** Of the process: whatever a command does, one signal ends it. */
export const stopping: Stopping = listen();

/** Leaves hang-ups to those who were told to ignore them, as `nohup` does. */
export function heedNohup(): void {
  if (isUnderNohup()) process.on("SIGHUP", () => {});
}

/**
 * Whether `nohup` started this process. Node gives every signal its usual effect as it starts, so that what was ignored
 * before cannot be asked any more; what is left of `nohup` are its name in the environment (bash and zsh), the file that it
 * writes to, and a standard input that cannot be read, where that was a terminal.
 */
function isUnderNohup(): boolean {
  if (basename(process.env._ ?? "") === "nohup") return true;
  const isItsFile = ["1", "2"].some((fd) => basename(linkOf(`/proc/self/fd/${fd}`)) === "nohup.out");
  return isItsFile || (linkOf("/proc/self/fd/0") === "/dev/null" && isWriteOnly("0"));
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function isWriteOnly(fd: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
    return (Number.parseInt(flags, 8) & 3) === 1;
  } catch {
    return false;
  }
}
