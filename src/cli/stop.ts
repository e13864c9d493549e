import { exitCodes } from "./exit.ts";
import { note } from "./terminal.ts";

/** What Ctrl-C and SIGTERM have asked for. */
export interface Stopping {
  readonly signal: AbortSignal;
  /** What the process ends with, after a signal. */
  readonly exitCode: number | undefined;
  /** Signals have their usual effect again. */
  close(): void;
}

/** Aborts at the first signal; a second one does not wait: what is saved stays whole. */
export function stopSignal(message: string): Stopping {
  const stopping = new AbortController();
  let exitCode: number | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping.signal.aborted) process.kill(process.pid, "SIGKILL");
    exitCode = signal === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated;
    note(message);
    stopping.abort();
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  return {
    signal: stopping.signal,
    get exitCode() {
      return exitCode;
    },
    close() {
      process.off("SIGINT", stop).off("SIGTERM", stop);
    },
  };
}
