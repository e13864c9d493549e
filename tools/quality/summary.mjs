/** What the rows of the grid say together. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { mean, points } from "../results-table.mjs";
import { describeBars, evaluateBars } from "./bars.mjs";
import { cellsOf, contendersOf, fasterPrecision } from "./plan.mjs";

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * A cell with what each contender has there: scores by seed and median seconds, of its faster precision alone.
 * @param rows that hold, as `currentRows` gives them
 * @returns cells in the plan's order; `whole` where every contender has every seed
 * @throws if rows of one cell and seed are of different data
 */
export function summarize(plan, rows) {
  return cellsOf(plan).map((cell) => {
    const own = rows.filter((row) => row.cell === cell.name);
    expectOneData(cell, own);
    const results = new Map();
    let whole = true;
    for (const { name } of contendersOf(plan, cell)) {
      const mine = own.filter((row) => row.contender === name && cell.seeds.includes(row.seed));
      const precisions = [...new Set(mine.map(({ precision }) => precision))];
      const precision = precisions.length > 1 ? fasterPrecision(mine, precisions) : precisions[0];
      const kept = mine.filter((row) => row.precision === precision);
      if (kept.length < cell.seeds.length) whole = false;
      if (kept.length === 0) continue;
      results.set(name, {
        precision,
        scores: new Map(kept.map(({ seed, score }) => [seed, score])),
        seconds: median(kept.map(({ seconds }) => seconds)),
        examples: kept[0].examples,
      });
    }
    return { ...cell, results, whole };
  });
}

function expectOneData(cell, rows) {
  for (const seed of new Set(rows.map((row) => row.seed))) {
    const data = new Set(
      rows.filter((row) => row.seed === seed).map(({ data: { train, test } }) => `${train} ${test}`),
    );
    if (data.size > 1) {
      throw new Error(
        `${cell.name}: expected rows of one data set for seed ${seed}, got ${data.size}: they compare with nothing.`,
      );
    }
  }
}

const scoreText = ({ scores }) => points([...scores.values()]);
const secondsText = ({ seconds, precision }) =>
  `${seconds.toFixed(seconds < 10 ? 1 : 0)}${precision === "bf16" ? " (bf16)" : ""}`;

const table = (head, lines) =>
  [head, ["---", ...head.slice(1).map(() => "---:")], ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");

/** Cells in rows, contenders in columns. */
function cellTable(plan, cells, textOf) {
  const names = Object.keys(plan.contenders);
  const lines = cells.map((cell) => [
    cell.name,
    ...names.map((name) => (cell.results.has(name) ? textOf(cell.results.get(name)) : "")),
  ]);
  return table(["cell", ...names], lines);
}

/**
 * The page of the grid; its figure, if there is any score of a cell that all answer, is written into `folder`.
 * @returns Markdown
 */
export async function writeSummary(plan, rows, folder) {
  const cells = summarize(plan, rows);
  const tried = cells.filter(({ results }) => results.size > 0);
  const blocks = [...new Set(tried.map(({ block }) => block))];
  const figure = await drawFigure(plan, cells, rows);
  if (figure !== undefined) writeFileSync(join(folder, "figure.svg"), figure);
  const seconds = rows.length === 0 ? "" : `${hardwareOf(rows)}.`;
  return `${[
    "# Quality beside other libraries",
    "What one gets with the same rows: `node tools/quality.mjs` makes what [`../quality.yaml`](../quality.yaml) lists, with all\n" +
      "settings and where they are from, and has no row yet in `rows.jsonl`. A cell is backbone, data set, rows per label; all\n" +
      "contenders have the same training rows, drawn with each seed, and the same test rows, at most 1,000. Test scores in points,\n" +
      "accuracy or F1 of entities (conll04), mean ± standard deviation over seeds; all answers are scored by one program. Rivals\n" +
      "have one setting each, published but for what the plan says beside it, ours its defaults. Rivals run in fp32 and bf16 with a cell's first seed: the faster one\n" +
      "counts.",
    figure === undefined ? "" : "![Means over the cells that every contender answers](figure.svg)",
    "## Bars",
    describeBars(evaluateBars(plan, cells)),
    ...blocks.flatMap((block) => {
      const own = tried.filter((cell) => cell.block === block);
      const open = own.filter(({ whole }) => !whole).length;
      return [
        `## ${block}`,
        ...(open > 0 ? [`Runs are missing in ${open} of these ${own.length} cells.`] : []),
        cellTable(plan, own, scoreText),
        "Seconds from the start of the process to the saved model, median over seeds:",
        cellTable(plan, own, secondsText),
      ];
    }),
    seconds,
  ]
    .filter((part) => part !== "")
    .join("\n\n")}\n`;
}

const hardwareOf = (rows) => {
  const known = [...new Set(rows.map(({ hardware, threads }) => `${hardware}, ${threads} threads`))];
  const busy = rows.filter(({ load, threads }) => load > threads).length;
  return `${known.join("; ")}${busy > 0 ? `; ${busy} of ${rows.length} runs had other work beside them` : ""}`;
};

/** Bars of the means over the cells that count and that every contender answers, a dot for each cell. */
async function drawFigure(plan, cells, rows) {
  const names = Object.keys(plan.contenders);
  const shown = cells.filter(({ bars, results }) => bars && names.every((name) => results.has(name)));
  if (shown.length === 0) return undefined;
  const { renderComparison } = await import("../../dist/report/index.js");
  const { svg } = await renderComparison({
    title: "Quality beside other libraries",
    task: "text-classification",
    backbone: "MiniLM and MPNet",
    score: { name: "accuracy", on: "test" },
    variants: names.map((name) => ({
      name,
      runs: shown.map((cell, i) => ({
        seed: i,
        id: cell.name,
        state: "finished",
        test: { accuracy: mean([...cell.results.get(name).scores.values()]) },
      })),
    })),
    figure: { shape: "bars" },
    fingerprints: { data: "", backbone: "" },
    hardware: rows[0].hardware,
    createdAt: rows[0].date,
    version: "",
  });
  return svg;
}
