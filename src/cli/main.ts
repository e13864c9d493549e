#!/usr/bin/env node
import { CommanderError } from "commander";
import { asUnwritable, onCacheRefusal, onLockWait } from "../files/index.ts";
import { exitCodes, reportError } from "./exit.ts";
import { keepHeapSmall } from "./heap.ts";
import { createProgram } from "./program.ts";
import { isReaderGone, onReaderGone } from "./readers.ts";
import { heedNohup, stopping } from "./stop.ts";
import { forTerminal, note, progressLine, warn } from "./terminal.ts";

// A reader that has seen enough (`| head`) closes the pipe: that is no error. A full disk is one.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (isReaderGone(error)) onReaderGone();
  else process.exit(reportError(asUnwritable("standard output", error), false));
});
// Nobody can be told of it.
process.stderr.on("error", () => {});
heedNohup();

onCacheRefusal(({ message }) =>
  warn(`what is computed is kept for this run alone, as the cache cannot be written: ${message}`),
);

// A trial ends with the process that started it, at once: what it saved is whole, and nobody waits for the rest.
if (process.channel) {
  process.on("disconnect", () => process.exit(exitCodes.terminated));
  process.channel.unref();
}

// Who waits should know at once for what.
onLockWait(({ what, holder }) => note(`Waiting for the ${what}: in use by ${holder}.`));

const program = createProgram();
program.hook("preAction", (_, command) => {
  // An answer to texts that stand on the command line is there before the heap grows: it would only start later.
  if (command.name() !== "predict" || command.args.length < 2) keepHeapSmall();
});
for (const command of [
  program,
  ...program.commands,
  ...program.commands.flatMap((inner) => inner.commands),
]) {
  command.exitOverride().configureOutput({
    writeErr: (text) => process.stderr.write(forTerminal(text)),
    writeOut: (text) => process.stdout.write(forTerminal(text)),
  });
}
try {
  await program.parseAsync();
} catch (error) {
  progressLine.clear();
  // Help and version end through an exception too.
  if (error instanceof CommanderError)
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  // Whoever asked to stop knows why it ended.
  else if (stopping.exitCode !== undefined && (error as Error | undefined)?.name === "AbortError")
    process.exitCode = stopping.exitCode;
  else process.exitCode = reportError(error, process.argv.includes("--json"));
}
