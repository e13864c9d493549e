import type { ComparisonEvent, ComparisonRunEvent, RunName } from "../comparisons/index.ts";
import { escapeControls } from "../core/index.ts";
import { formatDuration } from "../report/index.ts";
import { bar, note, print, printJson, progressLine, style } from "./terminal.ts";

/** Told of every event of a comparison. */
export type ComparisonReporter = (event: ComparisonEvent) => void;

/** Seconds between lines of progress where standard error is no terminal. */
const plainIntervalSeconds = 30;

/** Starts, evaluations and ends of runs as JSON lines, and the comparison as it stands after each. */
export function jsonComparisonReporter(): ComparisonReporter {
  return (event) => {
    if (event.type === "comparison") {
      printJson(event);
      return;
    }
    const { run, event: inner } = event;
    if (inner.type === "trial-progress") {
      if (inner.event.type === "evaluation") printJson({ ...run, ...inner.event });
      return;
    }
    const { trial, ...facts } = inner;
    printJson({ ...run, ...facts, id: trial.id });
  };
}

/** A line per run on standard output, progress with an ETA on standard error. */
export function textComparisonReporter(): ComparisonReporter {
  const started = performance.now();
  /** Shares of the runs that are under way, by what they are. */
  const shares = new Map<string, number>();
  let [done, total, doneBefore] = [0, 0, 0];
  let lastPlain = started;
  const totalSteps = new Map<string, number>();

  const progress = ({ variant, seed }: RunName, text: string): void => {
    const share = done + [...shares.values()].reduce((sum, value) => sum + value, 0);
    const seconds = (performance.now() - started) / 1000;
    const here = share - doneBefore;
    const eta = here > 0 ? formatDuration((seconds * (total - share)) / here) : "?";
    const line = `${done + 1}/${total}  ${variant}, seed ${seed}  ${text}  ETA ${eta}`;
    progressLine.update(`${bar(share, total)} ${line}`);
    if (!process.stderr.isTTY && performance.now() - lastPlain > plainIntervalSeconds * 1000) {
      lastPlain = performance.now();
      note(line);
    }
  };

  const onRun = ({ run, event }: ComparisonRunEvent): void => {
    const name = `${run.variant}, seed ${run.seed}`;
    if (event.type === "trial-start") {
      shares.set(name, 0);
      progress(run, event.resumed ? "goes on" : "starts");
    } else if (event.type === "trial-progress") {
      if (event.event.type === "start") totalSteps.set(name, event.event.totalSteps);
      if (event.event.type !== "step") return;
      const steps = totalSteps.get(name)!;
      shares.set(name, event.event.step / steps);
      progress(run, `step ${event.event.step}/${steps}`);
    } else {
      shares.delete(name);
      progressLine.clear();
      printEnd(name, event);
    }
  };

  return (event) => {
    if (event.type === "run") {
      if (event.event.type === "trial-done" && !event.event.ran) doneBefore++;
      onRun(event);
      return;
    }
    ({ done, total } = event);
  };
}

function printEnd(
  name: string,
  { result, ran }: Extract<ComparisonRunEvent["event"], { type: "trial-done" }>,
): void {
  if (result.status === "failed") {
    const { code, message, hint } = result.error;
    print(`${name}  ${style("red", "failed")}  ${code}`);
    note(`  ${escapeControls(message)}`);
    if (hint) note(`  ${escapeControls(hint)}`);
    return;
  }
  const scores = result.test ?? result.dev ?? {};
  const value = scores[result.selectBy];
  const score = value === undefined ? "" : `${result.selectBy} ${value.toFixed(4)}`;
  const time = ran ? formatDuration(result.seconds) : "was there";
  print(`${name}  ${score}  ${style("dim", time)}`);
}
