import type { Markish, PlotOptions } from "@observablehq/plot";
import { type Comparison, type ComparisonFigure, scoreOf, spreadOf } from "../comparison.ts";
import { figureOptions } from "./curves.ts";
import type { Page, PageNode } from "./page.ts";
import { scoreText, scoreTitle, shorten } from "./parts.ts";
import { curveColors } from "./style.ts";

const rowHeight = 34;
/** Characters of a variant's name beside its bar. */
const nameCharacters = 28;
/** Average width of a character at the size that figures have on phones. */
const characterWidth = 8.2;

/** A variant as figures show it. */
interface Drawn {
  readonly name: string;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly values: readonly number[];
}

/** The figure of a comparison, and the colours of its curves by name; undefined where nothing has a score. */
export function drawComparison(
  page: Page,
  comparison: Comparison,
): { drawing: PageNode; key: Readonly<Record<string, string>> } | undefined {
  if (comparison.variants.every((variant) => drawn(comparison, variant) === undefined)) return undefined;
  const { figure } = comparison;
  return figure.shape === "bars" ? bars(page, comparison) : lines(page, comparison, figure);
}

function drawn(comparison: Comparison, variant: Comparison["variants"][number]): Drawn | undefined {
  const values = variant.runs.flatMap((run) => scoreOf(comparison, run) ?? []);
  const spread = spreadOf(values);
  if (spread === undefined) return undefined;
  const { mean, deviation = 0 } = spread;
  return { name: variant.name, mean, low: mean - deviation, high: mean + deviation, values };
}

/** A bar from 0 for each variant, its deviation, and a dot for each run. */
function bars(page: Page, comparison: Comparison): { drawing: PageNode; key: Record<string, string> } {
  const { Plot } = page;
  const { variants } = comparison;
  const rows = variants.flatMap((variant) => drawn(comparison, variant) ?? []);
  const dots = rows.flatMap(({ name, values }) => values.map((value) => ({ name, value })));
  const missing = variants.filter(({ name }) => !rows.some((row) => row.name === name));
  const names = variants.map(({ name }) => shorten(name, nameCharacters).length);
  const y = (variant: { readonly name: string }): string => variant.name;
  const drawing = page.plot({
    ...figureOptions,
    height: rowHeight * variants.length + figureOptions.marginTop! + figureOptions.marginBottom!,
    marginLeft: 16 + characterWidth * Math.max(...names),
    marginRight: 56,
    x: { ...scoreAxis(comparison), domain: barDomain(rows), grid: true },
    y: {
      domain: variants.map(({ name }) => name),
      label: null,
      tickSize: 0,
      padding: 0.35,
      tickFormat: (name: string) => shorten(name, nameCharacters),
    },
    marks: [
      Plot.barX(rows, { x: "mean", y, fill: curveColors[0], fillOpacity: 0.75 }),
      Plot.ruleY(rows, { x1: "low", x2: "high", y, stroke: "var(--ink)", strokeWidth: 1.5 }),
      Plot.dot(dots, { x: "value", y, r: 2.5, fill: "var(--panel)", stroke: "var(--ink)" }),
      Plot.text(rows, {
        ...{ x: ({ high, values }: Drawn) => Math.max(high, ...values, 0), y, dx: 8, textAnchor: "start" },
        ...{ text: ({ mean }: Drawn) => scoreText(mean), fill: "var(--ink)" },
      }),
      Plot.text(missing, { x: 0, y, dx: 6, textAnchor: "start", text: missingText, fill: "var(--bad)" }),
    ],
  });
  return { drawing, key: {} };
}

function missingText({ runs }: Comparison["variants"][number]): string {
  return runs.some(({ state }) => state === "failed") ? "failed" : "not done yet";
}

/** From 0, and to 1 where the values are shares: bars that start elsewhere would exaggerate. */
function barDomain(rows: readonly Drawn[]): [number, number] {
  const least = Math.min(0, ...rows.map(({ low }) => low));
  const most = Math.max(0, ...rows.map(({ high, values }) => Math.max(high, ...values)));
  return [least, Math.max(1, most)];
}

function scoreAxis({ score }: Comparison): PlotOptions["x"] & PlotOptions["y"] {
  const label = `${score.on} ${scoreTitle(score.name)}`;
  return { label, labelArrow: "none", labelAnchor: "center", ticks: 5, tickSize: 0 };
}

/** `22.7 M` of millions, other numbers as they are. */
const placeText = (place: number): string =>
  place < 1e6 ? String(place) : `${Number((place / 1e6).toPrecision(3))} M`;

/** A curve per series with the deviation as a band and a dot for each mean. */
function lines(
  page: Page,
  comparison: Comparison,
  { axis, scale }: ComparisonFigure & { readonly shape: "lines" },
): { drawing: PageNode; key: Record<string, string> } {
  const { Plot } = page;
  const named = [...new Set(comparison.variants.flatMap(({ series }) => series ?? []))];
  const series = named.length === 0 ? [""] : named;
  const marks: Markish[] = series.flatMap((name, i) => {
    const points = comparison.variants
      .filter((variant) => variant.at !== undefined && (variant.series ?? name) === name)
      .flatMap((variant) => {
        const point = drawn(comparison, variant);
        return point ? [{ ...point, at: variant.at! }] : [];
      })
      .toSorted((a, b) => a.at - b.at);
    const color = curveColors[i % curveColors.length]!;
    return [
      Plot.areaY(points, { x: "at", y1: "low", y2: "high", fill: color, fillOpacity: 0.15 }),
      Plot.lineY(points, { x: "at", y: "mean", stroke: color, strokeWidth: 2 }),
      Plot.dot(points, { x: "at", y: "mean", fill: color, r: 3 }),
    ];
  });
  const places = [...new Set(comparison.variants.flatMap(({ at }) => at ?? []))].sort((a, b) => a - b);
  const drawing = page.plot({
    ...figureOptions,
    x: {
      ...{ type: scale, label: axis, labelAnchor: "center", labelArrow: "none", tickSize: 0 },
      ...{ ticks: places, tickFormat: placeText },
    },
    y: { label: null, grid: true, ticks: 5, tickSize: 0, nice: true },
    marks,
  });
  const isNamed = named.length > 0;
  return {
    drawing,
    key: isNamed
      ? Object.fromEntries(series.map((name, i) => [name, curveColors[i % curveColors.length]!]))
      : {},
  };
}
