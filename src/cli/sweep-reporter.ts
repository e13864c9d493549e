import { formatCount, formatDuration, searchText } from "../report/index.ts";
import type { SweepDoneEvent, SweepEvent } from "../sweeps/index.ts";
import type { TrialDoneEvent, TrialProgressEvent } from "../trials/index.ts";
import { bar, note, print, printJson, progressLine, style, warn } from "./terminal.ts";

/** Told of every event of a sweep. */
export type SweepReporter = (event: SweepEvent) => void;

/** Seconds between lines of progress where standard error is no terminal. */
const plainIntervalSeconds = 15;

/** Events as JSON lines on standard output; of the steps inside trials nothing but evaluations. */
export function jsonSweepReporter(): SweepReporter {
  return (event) => {
    if (event.type === "trial-progress" && event.event.type !== "evaluation") return;
    if (!("trial" in event)) {
      printJson(event);
      return;
    }
    const { trial, ...rest } = event;
    printJson({ ...rest, trial: trial.id, overrides: trial.overrides });
  };
}

/** A line for each trial on standard output, progress with an ETA on standard error. */
export function textSweepReporter(): SweepReporter {
  let total: number | undefined;
  let done = 0;
  let ran = 0;
  let started = performance.now();
  let lastPlain = started;
  /** Share of each running trial that is done, by id. */
  const running = new Map<string, { step: number; totalSteps: number }>();

  const progress = (): void => {
    const shares = [...running.values()].map(({ step, totalSteps }) => step / Math.max(1, totalSteps));
    const inParts = shares.reduce((sum, share) => sum + share, 0);
    const elapsed = (performance.now() - started) / 1000;
    const perTrial = elapsed / (ran + inParts);
    const eta = total === undefined ? "?" : formatDuration((total - done - inParts) * perTrial);
    const steps = [...running.values()].map(({ step, totalSteps }) => `${step}/${totalSteps}`);
    const of = total === undefined ? "" : ` of ${total}`;
    const text = `trials ${done}${of}  running ${running.size}${steps.length > 0 ? ` (steps ${steps.join(", ")})` : ""}  ETA ${eta}`;
    progressLine.update(total === undefined ? text : `${bar(done + inParts, total)} ${text}`);
    if (!process.stderr.isTTY && performance.now() - lastPlain > plainIntervalSeconds * 1000) {
      lastPlain = performance.now();
      note(text);
    }
  };

  const onProgress = ({ trial, event }: TrialProgressEvent): void => {
    if (event.type === "start")
      running.set(trial.id, { step: event.startStep, totalSteps: event.totalSteps });
    if (event.type !== "step") return;
    const known = running.get(trial.id);
    if (known) running.set(trial.id, { ...known, step: event.step });
    progress();
  };

  const onDone = ({ trial, result, ran: isNew }: TrialDoneEvent): void => {
    running.delete(trial.id);
    done++;
    if (!isNew) return;
    ran++;
    progressLine.clear();
    const values = Object.entries(trial.overrides)
      .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
      .join(" ");
    if (result.status === "failed") {
      print(`${trial.id}  ${style("red", "failed")}  ${values}  ${result.error.code}`);
      warn(`trial ${trial.id}: ${result.error.message}`);
      return;
    }
    const score = result.dev?.[result.selectBy];
    const shown = score === undefined ? "no dev score" : `${result.selectBy} ${score.toFixed(4)}`;
    print(`${trial.id}  ${shown}  ${values}  ${style("dim", formatDuration(result.seconds))}`);
    progress();
  };

  return (event) => {
    switch (event.type) {
      case "sweep-start":
        total = event.total;
        started = performance.now();
        print(
          `${style("dim", "search".padEnd(10))} ${event.strategy} over ${event.keys.join(", ") || "nothing that varies"}` +
            `${total === undefined ? "" : `, ${formatCount(total)} trials`}`,
        );
        for (const warning of event.warnings) warn(warning);
        if (event.known > 0) note(`${event.known} trials have results already; they are not run again.`);
        break;
      case "trial-start":
        running.set(event.trial.id, running.get(event.trial.id) ?? { step: 0, totalSteps: 0 });
        progress();
        break;
      case "trial-progress":
        onProgress(event);
        break;
      case "trial-done":
        onDone(event);
        break;
      case "sweep-done":
        progressLine.clear();
        printEnd(event);
        break;
    }
  };
}

function printEnd({ reason, report }: SweepDoneEvent): void {
  print();
  print(searchText(report));
  print();
  if (reason === "budget") note("The budget is used up. A larger one goes on from here.");
}
