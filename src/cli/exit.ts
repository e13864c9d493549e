import { PtuningError } from "../core/index.ts";
import { asSystemRefusal } from "../files/index.ts";
import { note, printJson, style } from "./terminal.ts";

/** What the process ends with. Documented in docs/cli.md. */
export const exitCodes = {
  ok: 0,
  /** Data, files, options or the network: the message says what to do. */
  failed: 1,
  /** The command line itself. */
  usage: 2,
  /** A defect of ptuning. */
  defect: 70,
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const;

/** Shows an error the way users should see it and gives the exit code. */
export function reportError(thrown: unknown, asJson: boolean): number {
  // What a system refuses at a place that a user named is no defect, whichever call met it first.
  const error = asSystemRefusal(thrown) ?? thrown;
  if (error instanceof PtuningError) {
    if (asJson) {
      const { code, message, hint } = error;
      printJson({ type: "error", code, message, ...(hint && { hint }) });
    }
    note(`${style("red", "error:", process.stderr)} ${error.message}`);
    if (error.hint) note(`  ${error.hint.replaceAll("\n", "\n  ")}`);
    return exitCodes.failed;
  }
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  note(
    `${style("red", "defect:", process.stderr)} this should not happen; please report it with the lines below.`,
  );
  note(details);
  return exitCodes.defect;
}
