import type { DataChecks, Finding, LabelCount, Lengths } from "../../checks/index.ts";
import { formatCount, formatShare } from "../format.ts";
import type { TaskReport } from "../run-report.ts";
import { figureOptions } from "./curves.ts";
import type { Child, Page, PageNode } from "./page.ts";
import { figure, section, shorten, table } from "./parts.ts";

/** Of more labels than this the most frequent and the rarest are drawn. */
const mostBars = 24;

/** The data set: sizes, lengths, labels, and what the checks found. */
export function dataSection(page: Page, { checks }: TaskReport, name?: string): PageNode | undefined {
  if (checks === undefined) return undefined;
  const { labels, lengths } = checks;
  return section(
    page,
    name ? `Data of ${name}` : "Data",
    findingsList(page, checks),
    page.h("h3", {}, lengths ? "Sizes, and lengths in tokens" : "Sizes"),
    splitTable(page, checks),
    page.h(
      "div",
      { class: "figures", style: "margin-top: 1rem" },
      lengths && lengthsFigure(page, lengths),
      labels.length > 1 ? labelsFigure(page, labels) : undefined,
    ),
    lengths && [page.h("h3", {}, "What does not fit at which length"), cutTable(page, lengths)],
  );
}

function splitTable(page: Page, { splits, lengths }: DataChecks): PageNode {
  const tokens = new Map(lengths?.splits.map((split) => [split.split, split]));
  // Most families make one sequence of each example.
  const isSplit = splits.some(({ name, examples }) => (tokens.get(name)?.sequences ?? examples) !== examples);
  const sizes = ["examples", "repeated", ...(isSplit ? ["sequences"] : [])];
  const counts = [...sizes, ...(lengths ? ["median", "95 %", "longest"] : [])];
  return table(
    page,
    [["split", "text"], ...counts.map((title) => [title, "count"] as const)],
    splits.map(({ name, examples, duplicates }) => {
      const { sequences, median, p95, max } = tokens.get(name) ?? {};
      return [name, examples, duplicates, ...(isSplit ? [sequences] : []), median, p95, max];
    }),
  );
}

function lengthsFigure(page: Page, { histogram, maxLength }: Lengths): PageNode {
  const { Plot } = page;
  const isNear = maxLength <= 1.5 * (histogram.at(-1)?.to ?? 0);
  const limit = [Plot.ruleX([maxLength], { stroke: "var(--c2)", strokeWidth: 1.5, strokeDasharray: "4 3" })];
  const drawing = page.plot({
    ...figureOptions,
    x: {
      label: "tokens per training sequence",
      labelAnchor: "center",
      labelArrow: "none",
      ticks: 6,
      tickSize: 0,
    },
    y: { label: null, grid: true, ticks: 5, tickSize: 0 },
    marks: [
      Plot.rectY([...histogram], { x1: "from", x2: "to", y: "sequences", fill: "var(--c1)", inset: 0.5 }),
      ...(isNear ? limit : []),
    ],
  });
  return figure(page, "Lengths", drawing, isNear ? { [`maxLength ${maxLength}`]: "var(--c2)" } : {});
}

function labelsFigure(page: Page, labels: readonly LabelCount[]): PageNode {
  const half = mostBars / 2;
  const isLong = labels.length > mostBars;
  const shown = isLong ? [...labels.slice(0, half), ...labels.slice(-half)] : labels;
  const names = shown.map(({ label }) => shorten(label, 18));
  const longest = Math.max(...names.map((name) => [...name].length));
  const bars = shown.map(({ train }, i) => ({ train, i }));
  const drawing = page.plot({
    ...figureOptions,
    height: Math.max(250, 56 + 19 * shown.length),
    marginLeft: 14 + 8.4 * longest,
    marginRight: 48,
    x: {
      label: "training examples",
      labelAnchor: "center",
      labelArrow: "none",
      ticks: 4,
      tickSize: 0,
      grid: true,
    },
    y: { domain: bars.map(({ i }) => i), tickFormat: (i: number) => names[i]!, label: null, tickSize: 0 },
    marks: [
      page.Plot.barX(bars, { x: "train", y: "i", fill: "var(--c1)", insetTop: 1, insetBottom: 1, rx: 2 }),
      page.Plot.text(bars, {
        x: "train",
        y: "i",
        text: ({ train }) => formatCount(train),
        textAnchor: "start",
        dx: 5,
      }),
    ],
  });
  const title = isLong
    ? `Labels: the ${half} most frequent and the ${half} rarest of ${labels.length}`
    : "Labels";
  return figure(page, title, drawing);
}

function cutTable(page: Page, { longer, maxLength }: Lengths): PageNode {
  const strongRow = longer.findIndex((row) => row.maxLength === maxLength);
  return table(
    page,
    [
      ["maxLength", "text"],
      ["longer sequences", "count"],
      ["share", "right"],
    ],
    longer.map((row) => [
      row.maxLength === maxLength ? `${maxLength} (this run)` : `${row.maxLength}`,
      row.sequences,
      row.sequences === 0 ? "none" : formatShare(row.share),
    ]),
    { strongRow, style: "narrow" },
  );
}

function findingsList({ h }: Page, { findings, suggestions }: DataChecks): Child {
  const items = findings.map((finding) =>
    h(
      "li",
      { class: "item" },
      h(
        "div",
        { class: "line" },
        h("span", { class: `badge ${finding.severity}` }, finding.severity),
        h("span", {}, finding.message),
      ),
      finding.advice || finding.places.length > 0
        ? h("p", { class: "muted" }, [finding.advice, placesText(finding)].filter(Boolean).join(" "))
        : undefined,
    ),
  );
  return [
    items.length === 0 ? h("p", {}, "The checks found nothing.") : h("ul", { class: "list" }, items),
    suggestions && h("p", { class: "muted" }, `These data suggest: ${suggestions.reasons.join(" ")}`),
  ];
}

function placesText({ places }: Finding): string {
  const lines = places.flatMap(({ line }) => (line === undefined ? [] : [line]));
  return lines.length === 0 ? "" : `Lines ${lines.join(", ")}${lines.length === places.length ? "" : " …"}.`;
}
