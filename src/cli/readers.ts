import { exitCodes } from "./exit.ts";

let goesOn = false;

/** What this command does is not what it prints: it goes on when nobody reads that any more. */
export function goOnUnread(): void {
  goesOn = true;
}

/** Whether an error of standard output says that its reader is gone: a closed pipe, or a terminal that hung up. */
export function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === "EPIPE" || code === "EIO" || code === "ERR_STREAM_DESTROYED";
}

/** A reader that has seen enough (`| head`) is no error: a command whose work is its output ends, another one goes on. */
export function onReaderGone(): void {
  if (!goesOn) process.exit(exitCodes.ok);
}
