import { greatest, least } from "../../core/index.ts";
import { formatCount, formatDuration } from "../format.ts";
import {
  type HeatMap,
  importanceNote,
  mapTitle,
  type SearchReport,
  searchRows,
  shortKey,
} from "../search.ts";
import { figureOptions } from "./curves.ts";
import { type Page, type PageNode, writeDrawing, writePage } from "./page.ts";
import { figure, scoreText, scoreTitle, section, table } from "./parts.ts";

/** A search as one HTML page. */
export function writeSearchPage(report: SearchReport): Promise<string> {
  const { title, task, backbone, strategy, trials, ranking, notes, version, createdAt, hardware } = report;
  return writePage(`${title} · ptuning`, (page) => {
    const { h } = page;
    const { columns, rows } = searchRows(report);
    const failed = trials.filter(({ error }) => error !== undefined);
    return [
      h(
        "header",
        {},
        h("h1", {}, title),
        h("p", {}, `${task} · ${backbone} · ${strategy} search`),
        tiles(page, report),
        h(
          "div",
          {},
          notes.map((note) => h("p", { class: "muted" }, note)),
        ),
      ),
      h(
        "main",
        {},
        report.heatMap &&
          section(
            page,
            "Heat map",
            h(
              "div",
              { class: "narrow" },
              figure(page, mapTitle(report), drawMap(page, report, report.heatMap)),
            ),
          ),
        importanceSection(page, report),
        section(
          page,
          "Trials",
          table(
            page,
            columns.map(
              ({ title: name }, i) => [name, i === 0 || i === columns.length - 1 ? "text" : "right"] as const,
            ),
            rows,
            { style: "tall", strongRow: ranking.length > 0 ? 0 : -1 },
          ),
        ),
        failed.length > 0
          ? section(
              page,
              "Failed trials",
              h(
                "ul",
                { class: "list" },
                failed.map(({ id, error }) =>
                  h(
                    "li",
                    { class: "item" },
                    h("div", { class: "line" }, id, h("span", { class: "badge error" }, error!.code)),
                    h("p", {}, error!.message),
                  ),
                ),
              ),
            )
          : undefined,
      ),
      h(
        "footer",
        {},
        `Made by ptuning ${version} on ${createdAt.slice(0, 16).replace("T", " ")} UTC. ${hardware}.`,
      ),
    ];
  });
}

function tiles({ h }: Page, report: SearchReport): PageNode {
  const { trials, ranking, score, keys, seconds } = report;
  const best = trials.find(({ id }) => id === ranking[0]);
  const tile = (title: string, value: string, detail?: string): PageNode =>
    h("div", { class: "tile" }, h("dt", {}, title), h("dd", {}, value, detail && h("small", {}, detail)));
  const value = score && best?.dev?.[score.name];
  return h(
    "dl",
    { class: "tiles" },
    value === undefined ? undefined : tile(`Best dev ${scoreTitle(score!.name)}`, scoreText(value)),
    ...keys.map((key) => (best ? tile(shortKey(key), best.values[key] ?? "") : undefined)),
    tile("Trials", formatCount(trials.length), `${ranking.length} with a score`),
    tile("Time", formatDuration(seconds)),
  );
}

function importanceSection(page: Page, { importance }: SearchReport): PageNode | undefined {
  if (importance.length === 0) return undefined;
  return section(
    page,
    "Importance of keys",
    table(
      page,
      [
        ["", "text"],
        ["levels", "count"],
        ["explained", "bar"],
        ["adjusted", "bar"],
      ],
      importance.map(({ key, levels, explained, adjusted }) => [key, levels, explained, adjusted]),
      { style: "narrow" },
    ),
    page.h("p", { class: "muted" }, importanceNote),
  );
}

/** The heat map as an SVG file; undefined where there is none. */
export async function writeHeatMap(report: SearchReport): Promise<string | undefined> {
  const { heatMap } = report;
  return heatMap && writeDrawing(mapTitle(report), (page) => drawMap(page, report, heatMap));
}

const cellHeight = 34;
/** Average width of a character at the size of the figures. */
const characterWidth = 7;
/** The palest and the strongest cell. */
const opacities = [0.08, 0.9] as const;

/** The better, the stronger; the best is framed. Places without a trial are left pale. */
function drawMap(page: Page, { score }: SearchReport, { x, y, cells }: HeatMap): PageNode {
  const { Plot } = page;
  const values = cells.map((cell) => cell.score);
  const [low, high] = [least(values), greatest(values)];
  const strength = (value: number): number => {
    const share = high === low ? 1 : (value - low) / (high - low);
    const better = score?.lowerIsBetter ? 1 - share : share;
    return opacities[0] + better * (opacities[1] - opacities[0]);
  };
  const best = score?.lowerIsBetter ? low : high;
  const place = { x: "x", y: "y" } as const;
  const empty = y.levels.flatMap((row) => x.levels.map((column) => ({ x: column, y: row })));
  const axis = { tickSize: 0, labelArrow: "none", labelAnchor: "center" } as const;
  const marginLeft = 44 + characterWidth * Math.max(...y.levels.map((name) => name.length));
  return page.plot({
    ...figureOptions,
    height: cellHeight * y.levels.length + figureOptions.marginTop! + figureOptions.marginBottom!,
    marginLeft,
    padding: 0.05,
    x: { ...axis, domain: x.levels, label: shortKey(x.key) },
    y: { ...axis, domain: y.levels, label: shortKey(y.key), labelOffset: marginLeft - 14 },
    opacity: { type: "identity" },
    marks: [
      Plot.cell(empty, { ...place, fill: "var(--line)", fillOpacity: 0.35, rx: 3 }),
      Plot.cell(cells, {
        ...place,
        fill: "var(--c1)",
        fillOpacity: (cell: HeatMap["cells"][number]) => strength(cell.score),
        stroke: (cell: HeatMap["cells"][number]) => (cell.score === best ? "var(--ink)" : "none"),
        strokeWidth: 1.5,
        rx: 3,
      }),
      ...[true, false].map((isStrong) =>
        Plot.text(cells, {
          ...place,
          text: (cell: HeatMap["cells"][number]) => cell.score.toFixed(3),
          fill: isStrong ? "var(--panel)" : "var(--ink)",
          filter: (cell: HeatMap["cells"][number]) => strength(cell.score) > 0.5 === isStrong,
        }),
      ),
    ],
  });
}
