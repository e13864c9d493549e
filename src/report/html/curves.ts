import type { Markish, PlotOptions } from "@observablehq/plot";
import { decisiveScores, type StepEvent } from "../../train/index.ts";
import type { RunReport } from "../run-report.ts";
import type { Page, PageNode } from "./page.ts";
import { figure, scoreTitle, section } from "./parts.ts";
import { curveColors } from "./style.ts";

/** Points that a curve has at most: more than a screen can show would only make the file large. */
const mostPoints = 400;
/** Scores whose curves one figure has at most. */
const mostScores = 4;
/** Share of the run that the smooth curve averages over, to each side. */
const smoothingShare = 0.02;

/** Sizes that stay readable when a phone shows the figure at four fifths. */
export const figureOptions: PlotOptions = {
  width: 460,
  height: 250,
  marginLeft: 54,
  marginRight: 18,
  marginBottom: 42,
  marginTop: 20,
  style: { fontSize: "12.5px", fontFamily: "inherit" },
};

/** Loss, dev scores, learning rate and gradient norm over the updates. */
export function trainingSection(page: Page, report: RunReport): PageNode | undefined {
  if (report.steps.length === 0) return undefined;
  const figures = [lossFigure, scoresFigure, rateFigure, normFigure].map((draw) => draw(page, report));
  return section(page, "Training", page.h("div", { class: "figures" }, figures));
}

interface Point {
  readonly step: number;
  readonly value: number;
}

/** Means over equal stretches of the run. */
function thin(steps: readonly StepEvent[], value: (step: StepEvent) => number): Point[] {
  const size = Math.max(1, Math.ceil(steps.length / mostPoints));
  const points: Point[] = [];
  for (let start = 0; start < steps.length; start += size) {
    const part = steps.slice(start, start + size);
    points.push({ step: part.at(-1)!.step, value: mean(part.map(value)) });
  }
  return points;
}

function smooth(points: readonly Point[]): Point[] {
  const reach = Math.round(smoothingShare * points.length);
  return points.map(({ step }, i) => ({
    step,
    value: mean(points.slice(Math.max(0, i - reach), i + reach + 1).map(({ value }) => value)),
  }));
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

const channels = { x: "step", y: "value" } as const;
const steps = { label: "updates", labelAnchor: "center", labelArrow: "none", ticks: 5, tickSize: 0 } as const;
const values = { label: null, grid: true, ticks: 5, tickSize: 0, nice: true } as const;

/** Two curves: what was measured, faint, and its course. */
function noisy({ Plot }: Page, points: readonly Point[]): Markish[] {
  return [
    Plot.lineY(points, { ...channels, stroke: curveColors[0], strokeOpacity: 0.28, strokeWidth: 1 }),
    Plot.lineY(smooth(points), { ...channels, stroke: curveColors[0], strokeWidth: 2 }),
  ];
}

function rateFigure(page: Page, { steps: all }: RunReport): PageNode {
  const points = thin(all, ({ learningRate }) => learningRate);
  const tickFormat = (value: number): string =>
    value === 0 || value >= 1e-3 ? String(value) : value.toExponential().replace("e-", "e−");
  const y = { ...values, zero: true, tickFormat };
  const marks = [page.Plot.lineY(points, { ...channels, stroke: curveColors[0], strokeWidth: 2 })];
  return figure(page, "Learning rate", page.plot({ ...figureOptions, x: steps, y, marks }));
}

function normFigure(page: Page, { steps: all }: RunReport): PageNode {
  const marks = noisy(
    page,
    thin(all, ({ gradientNorm }) => gradientNorm),
  );
  const y = { ...values, zero: true };
  return figure(page, "Gradient norm", page.plot({ ...figureOptions, x: steps, y, marks }));
}

function lossFigure(page: Page, { steps: all, evaluations }: RunReport): PageNode {
  const { Plot } = page;
  const points = thin(all, ({ loss }) => loss);
  const dev = evaluations.map(({ step, loss }) => ({ step, value: loss }));
  const marks: Markish[] = [
    ...noisy(page, points),
    Plot.lineY(dev, { ...channels, stroke: curveColors[1], strokeWidth: 2 }),
    Plot.dot(dev, { ...channels, fill: curveColors[1], r: 3 }),
  ];
  const drawing = page.plot({ ...figureOptions, x: steps, y: { ...values, zero: true }, marks });
  return figure(page, "Loss", drawing, {
    train: curveColors[0],
    ...(dev.length > 0 && { dev: curveColors[1] }),
  });
}

function scoresFigure(
  page: Page,
  { start, evaluations, result, lowerIsBetter = [] }: RunReport,
): PageNode | undefined {
  // Errors have a scale of their own, and would make the rest flat.
  const names = Object.keys(decisiveScores(evaluations[0]?.scores ?? {}, start?.tasks)).filter(
    (name) => !lowerIsBetter.includes(name) || name === start?.settings.selectBy,
  );
  if (names.length === 0) return undefined;
  const { Plot } = page;
  const shown = names.slice(0, mostScores);
  const kept = result?.best?.step ?? evaluations.findLast(({ best }) => best)?.step;
  const lines = shown.flatMap((name, i) => {
    const points = evaluations.map(({ step, scores }) => ({ step, value: scores[name]! }));
    const color = curveColors[i]!;
    return [
      Plot.lineY(points, { ...channels, stroke: color, strokeWidth: 2 }),
      Plot.dot(points, { ...channels, fill: color, r: 3 }),
    ];
  });
  const best =
    kept === undefined
      ? []
      : [
          Plot.ruleX([kept], { stroke: "var(--muted)", strokeDasharray: "3 3" }),
          Plot.text(["kept"], { x: [kept], frameAnchor: "top", dy: -15, fill: "var(--muted)" }),
        ];
  const x = { ...steps, domain: [0, evaluations.at(-1)!.step] };
  const drawing = page.plot({ ...figureOptions, x, y: values, marks: [...best, ...lines] });
  const key = Object.fromEntries(shown.map((name, i) => [scoreTitle(name), curveColors[i]!]));
  return figure(page, "Dev scores", drawing, key);
}
