import { greatest } from "../core/index.ts";
import { type AnyTrainOptions, findLearningRate, type SuggestionEvent } from "../train/index.ts";
import { stopping } from "./stop.ts";
import { bar, note, print, printJson, progressLine, style, warn } from "./terminal.ts";

/** Lines of the printed curve at most. */
const mostRows = 25;

/** Updates of the test. */
const steps = 100;

/** Runs a learning-rate range test and prints its curve; nothing is kept. */
export async function findLr(options: AnyTrainOptions, asJson: boolean): Promise<void> {
  for await (const event of findLearningRate({ ...options, signal: stopping.signal }, { steps })) {
    if (asJson) printJson(event);
    else if (event.type === "warning") warn(event.message);
    else if (event.type === "suggestion") printCurve(event);
    else
      progressLine.update(
        `${bar(event.step, steps)} step ${event.step}/${steps}  loss ${event.loss.toFixed(3)}`,
      );
  }
}

function printCurve({ curve, learningRate, steepestAt, lowestAt, diverged }: SuggestionEvent): void {
  progressLine.clear();
  const widest = greatest(curve.map(({ loss }) => loss));
  const every = Math.ceil(curve.length / mostRows);
  const nearest = (rate: number | undefined): number =>
    Math.floor(curve.findIndex((point) => point.learningRate === rate) / every) * every;
  print(style("bold", "learning rate     loss"));
  for (let i = 0; i < curve.length; i += every) {
    const point = curve[i]!;
    const marks = [
      ...(steepestAt !== undefined && nearest(steepestAt) === i ? ["falls fastest"] : []),
      ...(nearest(lowestAt) === i ? ["lowest"] : []),
    ];
    const cells = `${point.learningRate.toExponential(1).padStart(13)}  ${point.loss.toFixed(4).padStart(7)}`;
    print(`${cells}  ${bar(point.loss, widest)}  ${style("green", marks.join(", "))}`.trimEnd());
  }
  print();
  if (diverged) note("The loss ran away: the test ended there.");
  if (learningRate === undefined) {
    note("The loss never fell, so no rate is suggested. Is the data in order? `ptuning check-data` looks.");
    return;
  }
  const rounded = Number(learningRate.toPrecision(2));
  print(`suggested  --learning-rate ${rounded}`);
}
