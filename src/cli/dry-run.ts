import { formatBytes, formatDuration } from "../report/index.ts";
import { type AnyTrainOptions, train } from "../train/index.ts";
import { stopping } from "./stop.ts";
import { print, printJson } from "./terminal.ts";
import { jsonReporter, textReporter } from "./train-reporter.ts";

/** Steps that a dry run measures, after one that warms up. */
const measuredSteps = 5;

/** Trains a few updates, keeps nothing, and prints what the run would take. */
export async function dryRun(options: AnyTrainOptions, asJson: boolean): Promise<void> {
  const report = asJson ? jsonReporter() : textReporter();
  const seconds: number[] = [];
  let total = 0;
  for await (const event of train({ ...options, signal: stopping.signal })) {
    if (event.type === "done") stopping.signal.throwIfAborted();
    if (event.type === "start" || event.type === "warning") report(event);
    if (event.type === "start") total = event.totalSteps;
    if (event.type === "step") seconds.push(event.seconds);
    if (seconds.length > measuredSteps || event.type === "done") break;
  }
  const measured = seconds.length > 1 ? seconds.slice(1) : seconds;
  const perStep = measured.reduce((sum, value) => sum + value, 0) / measured.length;
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  if (asJson) {
    printJson({
      type: "dry-run",
      secondsPerStep: perStep,
      totalSteps: total,
      etaSeconds: perStep * total,
      peakMemoryBytes,
    });
    return;
  }
  print(`memory     ${formatBytes(peakMemoryBytes)} at its highest so far`);
  print(
    `time       ${formatDuration(perStep * total)} for ${total} steps of ${perStep.toFixed(3)} s (mean of ${measured.length})`,
  );
}
