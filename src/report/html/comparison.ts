import type { PlotOptions } from "@observablehq/plot";
import {
  type Comparison,
  type ComparisonRow,
  comparisonRows,
  costColumns,
  runsText,
  scoreOf,
  spreadText,
} from "../comparison.ts";
import { drawComparison } from "./comparison-figure.ts";
import { figureOptions } from "./curves.ts";
import { type Page, type PageNode, writeDrawing, writePage } from "./page.ts";
import { figure, scoreText, scoreTitle, section, table } from "./parts.ts";

/** A comparison as one HTML page. */
export function writeComparisonPage(comparison: Comparison): Promise<string> {
  const { title, task, backbone, score, version, createdAt, hardware } = comparison;
  return writePage(`${title} · ptuning`, (page) => {
    const { h } = page;
    const drawn = drawComparison(page, comparison);
    return [
      h(
        "header",
        {},
        h("h1", {}, title),
        h(
          "p",
          {},
          `${task} · ${backbone} · ${scoreTitle(score.name)} on ${score.on}, ${runsText(comparison)}`,
        ),
      ),
      h(
        "main",
        {},
        drawn &&
          section(
            page,
            "Scores",
            h("div", { class: "narrow" }, figure(page, figureTitle(comparison), drawn.drawing, drawn.key)),
          ),
        section(page, "Figures", figuresTable(page, comparison)),
        runsSection(page, comparison),
        failuresSection(page, comparison),
      ),
      h(
        "footer",
        {},
        `Made by ptuning ${version} on ${createdAt.slice(0, 16).replace("T", " ")} UTC. ${hardware}.`,
      ),
    ];
  });
}

/** The figure of a comparison as an SVG file; undefined where nothing has a score. */
export async function writeComparisonFigure(comparison: Comparison): Promise<string | undefined> {
  let isEmpty = false;
  const svg = await writeDrawing(comparison.title, (page) => {
    const drawn = drawComparison(page, comparison);
    isEmpty = drawn === undefined;
    return drawn === undefined ? page.h("svg", {}) : withKey(page, drawn.drawing, drawn.key);
  });
  return isEmpty ? undefined : svg;
}

/** Height of a row of names, and the room that a character and the gap behind a name take. */
const key = { row: 16, character: 7.4, gap: 14 } as const;

/** Names of curves above the drawing, in as many rows as they need, where a page would have them in its caption. */
function withKey(page: Page, drawing: PageNode, names: Readonly<Record<string, string>>): PageNode {
  if (Object.keys(names).length === 0) return drawing;
  const { width, height, marginLeft } = figureOptions as Required<PlotOptions>;
  let [x, row] = [marginLeft, 0];
  const texts = Object.entries(names).map(([name, color]) => {
    const room = name.length * key.character;
    if (x > marginLeft && x + room > width) [x, row] = [marginLeft, row + 1];
    const text = { x, row, name, color };
    x += room + key.gap;
    return text;
  });
  for (const { x, row: own, name, color } of texts) {
    const y = String(11 - (row - own) * key.row);
    drawing.append(
      page.h("text", { x: String(x), y, fill: color, "font-weight": "600", "text-anchor": "start" }, name),
    );
  }
  const above = row * key.row;
  drawing.setAttribute("viewBox", `0 ${-above} ${width} ${height + above}`);
  drawing.setAttribute("height", String(height + above));
  return drawing;
}

function figureTitle({ score, figure: { shape } }: Comparison): string {
  const what = `${score.on} ${scoreTitle(score.name)}`;
  return shape === "bars"
    ? `${what}: mean, standard deviation, and a dot for each run`
    : `${what}: mean and standard deviation`;
}

function figuresTable(page: Page, comparison: Comparison): PageNode {
  const { score } = comparison;
  const cost = costColumns.map(({ title }) => [title, "right"] as const);
  const rows = comparisonRows(comparison);
  const text = (row: ComparisonRow): string => spreadText(row.score) || "–";
  return table(
    page,
    [["", "text"], [`${score.on} ${scoreTitle(score.name)}`, "right"], ...cost],
    rows.map((row) => [row.name, text(row), ...costColumns.map(({ cell }) => String(cell(row)))]),
  );
}

/** The score of every run, where a variant has several. */
function runsSection(page: Page, comparison: Comparison): PageNode | undefined {
  const { variants } = comparison;
  const seeds = [...new Set(variants.flatMap(({ runs }) => runs.map(({ seed }) => seed)))];
  if (seeds.length < 2) return undefined;
  const rows = variants.map(({ name, runs }) => [
    name,
    ...seeds.map((seed) => {
      const run = runs.find((one) => one.seed === seed);
      const score = run && scoreOf(comparison, run);
      return score === undefined ? (run?.state ?? "") : scoreText(score);
    }),
  ]);
  const columns = seeds.map((seed) => [`seed ${seed}`, "right"] as const);
  return section(page, "Runs", table(page, [["", "text"], ...columns], rows));
}

/** What failed, with its whole message; once where several seeds say the same. */
function failuresSection(page: Page, { variants }: Comparison): PageNode | undefined {
  const { h } = page;
  const items = variants.flatMap(({ name, runs }) => {
    const failed = runs.filter(({ state }) => state === "failed");
    const messages = new Set(failed.map(({ error }) => error?.message ?? ""));
    return [...messages].map((message) => {
      const same = failed.filter(({ error }) => (error?.message ?? "") === message);
      const seeds = same.map(({ seed }) => seed).join(", ");
      const title = `${name}, ${same.length === 1 ? "seed" : "seeds"} ${seeds}`;
      const badge = h("span", { class: "badge error" }, same[0]!.error?.code ?? "failed");
      return h("li", { class: "item" }, h("div", { class: "line" }, title, badge), h("p", {}, message));
    });
  });
  return items.length === 0 ? undefined : section(page, "Failed runs", h("ul", { class: "list" }, items));
}
