import type { ConfusionMatrix, ReviewTable, ScatterPlot } from "../../tasks/index.ts";
import type { ReviewedSplit, TaskReport } from "../run-report.ts";
import { figureOptions } from "./curves.ts";
import type { Child, Page, PageNode } from "./page.ts";
import { type ColumnKind, figure, section, shorten, table } from "./parts.ts";
import { reliabilityFigure } from "./reliability.ts";

/** More labels than this make a matrix unreadable: the most frequent confusions say the same. */
const mostMatrixLabels = 16;
/** Up to this many a matrix stands beside a table. */
const mostBesideLabels = 8;
const shownConfusions = 20;
const shownExamples = 20;
const shownCharacters = 1200;
/** Points that a plot has at most: beyond, every second or third stands for all. */
const mostPoints = 1500;
/** Rows from which a table scrolls in itself. */
const tallTable = 14;

/** How the kept state answers the dev examples: confusions, labels, how reliable probabilities are, and the examples with the greatest loss. */
export function devSection(page: Page, { dev }: TaskReport, name?: string): PageNode | undefined {
  if (dev === undefined) return undefined;
  const { matrices, tables, scatters = [], reliability = [] } = dev.review;
  return section(
    page,
    name ? `Dev examples of ${name}` : "Dev examples",
    page.h(
      "div",
      { class: "columns" },
      matrices.map((matrix) => confusions(page, matrix)),
      scatters.map((plot) => page.h("div", {}, page.h("h3", {}, plot.title), scatter(page, plot))),
      tables.map((one) => page.h("div", {}, page.h("h3", {}, one.title), reviewTable(page, one))),
      reliability.map((plot) => reliabilityFigure(page, plot)),
    ),
    worstExamples(page, dev),
  );
}

function reviewTable(page: Page, { columns, rows }: ReviewTable): PageNode {
  const kinds = columns.map((title, i): readonly [string, ColumnKind] => {
    const kind = columnKind(rows, i);
    return [title, kind === "share" && i === columns.length - 1 ? "bar" : kind];
  });
  return table(page, kinds, rows, { style: rows.length > tallTable ? "tall" : "" });
}

/** Whole numbers are counts, numbers up to 1 shares, others scores. */
function columnKind(rows: ReviewTable["rows"], column: number): ColumnKind {
  const cells = rows.map((row) => row[column]!);
  if (cells.some((cell) => typeof cell !== "number")) return "text";
  const numbers = cells as readonly number[];
  if (numbers.some((value) => value < 0 || value > 1)) {
    return numbers.every(Number.isInteger) ? "count" : "score";
  }
  return "share";
}

/** Predictions over gold numbers, on one scale, with the line where both are equal. */
function scatter(page: Page, { points }: ScatterPlot): Child {
  if (points.length === 0) return undefined;
  const { Plot } = page;
  const all = points.flat();
  const domain: [number, number] = [
    all.reduce((least, value) => Math.min(least, value)),
    all.reduce((most, value) => Math.max(most, value)),
  ];
  const axis = { domain, nice: true, grid: true, ticks: 6, tickSize: 0, labelArrow: "none" } as const;
  const stride = Math.ceil(points.length / mostPoints);
  const drawing = page.plot({
    ...figureOptions,
    height: figureOptions.width!,
    x: { ...axis, label: "gold", labelAnchor: "center" },
    y: { ...axis, label: "predicted" },
    marks: [
      Plot.line(
        domain.map((value) => [value, value]),
        {
          stroke: "var(--muted)",
          strokeDasharray: "3 3",
        },
      ),
      Plot.dot(
        points.filter((_, i) => i % stride === 0),
        { r: 2.5, fill: "var(--c1)", fillOpacity: 0.45 },
      ),
    ],
  });
  drawing.setAttribute("class", "plot natural");
  return figure(page, "Predicted over gold scores", drawing);
}

function confusions(page: Page, matrix: ConfusionMatrix): Child {
  const { title, labels, counts } = matrix;
  if (labels.length <= mostMatrixLabels) {
    const drawing = figure(page, "Gold in rows, predicted in columns", heatMap(page, matrix));
    const place = labels.length > mostBesideLabels ? { class: "whole" } : {};
    return page.h("div", place, page.h("h3", {}, title), drawing);
  }
  const wrong = counts
    .flatMap((row, gold) => row.map((count, predicted) => ({ gold, predicted, count })))
    .filter(({ gold, predicted, count }) => gold !== predicted && count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, shownConfusions);
  if (wrong.length === 0) return undefined;
  const columns = [
    ["gold", "text"],
    ["predicted as", "text"],
    ["examples", "count"],
  ] as const;
  const rows = wrong.map(({ gold, predicted, count }) => [labels[gold]!, labels[predicted]!, count]);
  return page.h(
    "div",
    {},
    page.h("h3", {}, "Most frequent confusions"),
    table(page, columns, rows, { style: rows.length > tallTable ? "tall" : "" }),
  );
}

/** Counts on a shade that shows the share of the row. */
function heatMap(page: Page, { labels, counts }: ConfusionMatrix): PageNode {
  const { Plot } = page;
  const cells = counts.flatMap((row, gold) => {
    const total = row.reduce((a, b) => a + b, 0);
    return row.map((count, predicted) => ({
      gold,
      predicted,
      count,
      share: total === 0 ? 0 : count / total,
    }));
  });
  const names = labels.map((label) => shorten(label, 14));
  const longest = Math.max(...names.map((name) => [...name].length));
  const side = Math.max(30, Math.min(56, 360 / labels.length));
  const isTilted = longest * 7.5 > side;
  const left = 22 + 7.2 * longest;
  const top = 30 + (isTilted ? 5.2 * longest : 12);
  const axis = { domain: labels.map((_, i) => i), tickFormat: (i: number) => names[i]!, tickSize: 0 };
  const place = { x: "predicted", y: "gold" } as const;
  const width = left + side * labels.length + (isTilted ? 24 : 8);
  const svg = page.plot({
    width,
    height: top + side * labels.length + 8,
    marginLeft: left,
    marginTop: top,
    marginBottom: 8,
    marginRight: isTilted ? 24 : 8,
    padding: 0.04,
    style: { fontSize: "12px", fontFamily: "inherit" },
    x: { ...axis, axis: "top", label: null, tickRotate: isTilted ? -40 : 0 },
    y: { ...axis, label: null },
    marks: [
      Plot.cell(cells, { ...place, fill: "var(--line)", fillOpacity: 0.45, rx: 3 }),
      Plot.cell(cells, { ...place, fill: "var(--c1)", fillOpacity: (d: Cell) => d.share, rx: 3 }),
      Plot.text(cells, {
        ...place,
        text: "count",
        fill: "var(--ink)",
        filter: (d: Cell) => d.share <= 0.5 && d.count > 0,
      }),
      Plot.text(cells, {
        ...place,
        text: "count",
        fill: "var(--panel)",
        fontWeight: 600,
        filter: (d: Cell) => d.share > 0.5,
      }),
    ],
    opacity: { type: "identity" },
  });
  // On a phone a small matrix shrinks, a large one scrolls.
  svg.setAttribute("class", width < 480 ? "plot natural" : "plot wide");
  return svg;
}

interface Cell {
  readonly count: number;
  readonly share: number;
}

function worstExamples({ h }: Page, { review, example }: ReviewedSplit): Child {
  const worst = review.examples.toSorted((a, b) => b.loss - a.loss).slice(0, shownExamples);
  if (worst.length === 0) return undefined;
  const items = worst.map(({ index, loss, gold, predicted }) => {
    const { line, texts } = example(index);
    const isWrong = gold !== predicted;
    return h(
      "li",
      { class: "item" },
      h(
        "div",
        { class: "line" },
        h("span", {}, "gold ", h("span", { class: "gold" }, gold)),
        h("span", {}, "predicted ", h("span", { class: isWrong ? "wrong" : "gold" }, predicted)),
        h(
          "span",
          { class: "place" },
          `loss ${loss.toFixed(3)}${line === undefined ? "" : ` · line ${line}`}`,
        ),
      ),
      texts.map(({ name, text }) =>
        h(
          "p",
          { dir: "auto" },
          texts.length > 1 ? h("span", { class: "name" }, name) : undefined,
          shorten(text, shownCharacters),
        ),
      ),
    );
  });
  return [
    h("h3", {}, "Greatest loss"),
    h("p", { class: "muted" }, "Often mistakes of the data rather than of the model: worth reading."),
    h("ol", { class: "list" }, items),
  ];
}
