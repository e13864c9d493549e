import type { SavedAdapter } from "../adapters/index.ts";
import { redact } from "../config/index.ts";
import { formatBytes, formatCount, formatDuration, formatShare } from "../report/index.ts";
import {
  decisiveScores,
  type EvaluationEvent,
  type FoldEvent,
  type RefitEvent,
  type StartEvent,
  type StepEvent,
  type TrainEvent,
  type TrunkEvent,
} from "../train/index.ts";
import { bar, note, print, printJson, progressLine, style, warn } from "./terminal.ts";

/** Told of every event of a run. */
export type TrainReporter = (event: TrainEvent<SavedAdapter>) => void;

/** Seconds between lines of progress where standard error is no terminal. */
const plainIntervalSeconds = 15;

/** Weight of the newest step in the averages that the progress line shows. */
const smoothing = 0.05;

/** Events as JSON lines on standard output, as the log has them: without tensors and secrets. */
export function jsonReporter(): TrainReporter {
  return (event) => {
    if (event.type === "checkpoint") return;
    if (event.type !== "done") {
      printJson(redact(event));
      return;
    }
    const { adapter, alternative, ...plain } = event;
    printJson(redact({ ...plain, ...(alternative && { alternative: alternative.evaluation }) }));
  };
}

/** A table of evaluations on standard output, progress with an ETA on standard error. */
export function textReporter(): TrainReporter {
  let start: StartEvent | undefined;
  let epochStarted = performance.now();
  let columns: { title: string; width: number }[] | undefined;
  const averages = { loss: Number.NaN, seconds: Number.NaN, rate: Number.NaN };
  let evaluationSeconds = 0;
  let lastPlain = performance.now();

  const onStep = (event: StepEvent): void => {
    const mix = (old: number, now: number): number =>
      Number.isNaN(old) ? now : old + smoothing * (now - old);
    averages.loss = mix(averages.loss, event.loss);
    averages.seconds = mix(averages.seconds, event.seconds);
    averages.rate = mix(averages.rate, event.tokens / event.seconds);
    const { totalSteps, stepsPerEpoch, settings } = start!;
    const left = totalSteps - event.step;
    const evaluationsLeft =
      settings.evaluateEvery === "epoch"
        ? Math.ceil(left / stepsPerEpoch)
        : Math.ceil(left / settings.evaluateEvery);
    const eta = formatDuration(left * averages.seconds + evaluationsLeft * evaluationSeconds);
    const text =
      `step ${event.step}/${totalSteps}  epoch ${event.epoch}/${settings.epochs}  loss ${averages.loss.toFixed(3)}  ` +
      `lr ${event.learningRate.toExponential(1)}  ${formatCount(Math.round(averages.rate))} tok/s  ETA ${eta}`;
    progressLine.update(`${bar(event.step, totalSteps)} ${text}`);
    if (!process.stderr.isTTY && performance.now() - lastPlain > plainIntervalSeconds * 1000) {
      lastPlain = performance.now();
      note(text);
    }
  };

  const onEvaluation = (event: EvaluationEvent): void => {
    evaluationSeconds = event.seconds;
    progressLine.clear();
    const scores = decisiveScores(event.scores, start?.tasks);
    if (columns === undefined) {
      const titles = ["epoch", "step", "train loss", "dev loss", ...Object.keys(scores), "time"];
      columns = titles.map((title) => ({ title, width: Math.max(title.length, 7) }));
      print(style("bold", columns.map(({ title, width }) => title.padStart(width)).join("  ")));
    }
    const now = performance.now();
    const cells = [
      Number.isInteger(event.epoch) ? String(event.epoch) : event.epoch.toFixed(2),
      String(event.step),
      event.trainLoss.toFixed(4),
      event.loss.toFixed(4),
      ...Object.values(scores).map((score) => score.toFixed(4)),
      formatDuration((now - epochStarted) / 1000),
    ];
    epochStarted = now;
    const row = cells.map((cell, i) => cell.padStart(columns![i]!.width)).join("  ");
    print(event.best ? `${row}  ${style("green", "best")}` : row);
  };

  return (event) => {
    switch (event.type) {
      case "start":
        start = event;
        epochStarted = performance.now();
        printStart(event);
        break;
      case "trunk":
        printTrunk(event);
        break;
      case "step":
        onStep(event);
        break;
      case "evaluation":
        onEvaluation(event);
        break;
      case "fold":
        progressLine.update(
          `${bar(event.update, event.updates)} rows left out: run ${event.fold} of ${event.folds}  step ${event.update}/${event.updates}  ` +
            `loss ${event.loss.toFixed(3)}  ETA ${formatDuration(foldSeconds(event))}`,
        );
        break;
      case "refit":
        progressLine.clear();
        printRefit(event);
        break;
      case "warning":
        warn(event.message);
        break;
      case "done":
        progressLine.clear();
        if (event.reason === "early")
          note(`No better score for ${start!.settings.patience} evaluations: stopped.`);
        break;
      case "checkpoint":
        break;
    }
  };
}

function printTrunk({ layers, numLayers, bytes, place, dtype, droppedOut, seconds }: TrunkEvent): void {
  if (layers === 0) {
    note(
      "trunkCache: training reaches the lowest layer, so nothing can be kept. Use promptLayers: {last: k}.",
    );
    return;
  }
  print(
    `${style("dim", "trunk".padEnd(10))} layers 1 to ${layers} of ${numLayers} computed once in ${formatDuration(seconds)}: ` +
      `${formatBytes(bytes)} of ${dtype} in ${place === "file" ? "a file" : "memory"}; their dropout ` +
      `(hidden ${droppedOut.hidden}, attention ${droppedOut.attention}) is left out`,
  );
}

/** What the short runs that are left will take. */
function foldSeconds({ fold, folds, update, updates, seconds }: FoldEvent): number {
  return ((folds - fold) * updates + updates - update) * seconds;
}

function printRefit(event: RefitEvent): void {
  const { task, rows, seconds, selectBy, leftOut, trained, fitted, blended, kept } = event;
  const title = `head${task === undefined ? "" : ` of ${task}`}`;
  const scoreOf = ({ scores, loss }: NonNullable<RefitEvent["fitted"]>): string =>
    selectBy === "loss" ? loss.toFixed(4) : `${scores[selectBy]!.toFixed(4)} (loss ${loss.toFixed(4)})`;
  const told = fitted ? `: ${leftOut ? "on rows left out " : "dev "}${selectBy} ${scoreOf(fitted)}` : "";
  const beside = blended ? `, with the untouched backbone beside ${scoreOf(blended)}` : "";
  print(
    `${style("dim", title.padEnd(10))} fitted ${trained ? "again " : ""}on ${formatCount(rows)} rows in ${formatDuration(seconds)}${told}` +
      (trained ? `, trained ${scoreOf(trained)}${beside}: ${style("bold", keptText[kept])} is kept` : ""),
  );
  if (kept === "blended") note(blendText);
}

const keptText: Readonly<Record<RefitEvent["kept"], string>> = {
  trained: "the trained one",
  fitted: "the fitted one",
  blended: "the one on both",
};

/** What such a head costs. */
const blendText =
  "head: it reads what the untouched backbone makes of a text as well, so every text passes the backbone twice in use: " +
  "about half as many texts per second (training.blend: never leaves it out)";

function printStart(event: StartEvent): void {
  const { inventory, examples, engine, memory, settings, totalSteps, startStep } = event;
  const parts = Object.entries(inventory.trainable).map(([part, count]) => `${part} ${formatCount(count)}`);
  const line = (title: string, text: string): void => print(`${style("dim", title.padEnd(10))} ${text}`);
  line("parameters", `${formatCount(inventory.frozen)} frozen`);
  line(
    "trainable",
    `${formatCount(inventory.trainableTotal)} (${formatShare(inventory.share)}): ${parts.join(", ")}`,
  );
  line("examples", `${formatCount(examples.train)} train, ${formatCount(examples.dev)} dev`);
  for (const [name, task] of Object.entries(event.tasks ?? {})) {
    const own = `${formatCount(task.examples.train)} train, ${formatCount(task.examples.dev)} dev`;
    line("", `${name}: ${task.type}, ${own}, ${formatCount(task.steps)} steps, by ${task.selectBy}`);
  }
  const { learningRate, headLearningRate } = settings;
  const head = headLearningRate === learningRate ? "" : ` (head ${headLearningRate})`;
  line(
    "training",
    totalSteps === 0
      ? "none: the head is fitted"
      : `${settings.epochs} epochs, batch ${settings.batchSize}, learning rate ${learningRate}${head}, ${formatCount(totalSteps)} steps`,
  );
  const cut = memory.microBatchSize < settings.batchSize ? ` in passes of ${memory.microBatchSize}` : "";
  line("memory", `${settings.memory}${cut}, about ${formatBytes(memory.estimatedBytes)} (estimate)`);
  line("engine", `${engine}, frozen layers in ${settings.precision}`);
  if (startStep > 0) line("resumed", `at step ${formatCount(startStep)}`);
  print();
}
