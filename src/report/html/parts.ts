import { formatCount } from "../format.ts";
import type { Child, Page, PageNode } from "./page.ts";

/** Titles of scores as people write them: `exact match`, `macro F1`, `f1 without V`. */
export function scoreTitle(name: string): string {
  return name
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/ [A-Z](?=[a-z])/g, (start) => start.toLowerCase());
}

/** A score with four digits. */
export function scoreText(value: number): string {
  return value.toFixed(4);
}

/** A section with a heading. */
export function section({ h }: Page, title: string, ...children: readonly Child[]): PageNode {
  return h("section", {}, h("h2", {}, title), ...children);
}

/** A drawing with a caption and a key to its colours. */
export function figure(
  { h }: Page,
  title: string,
  drawing: PageNode,
  key: Readonly<Record<string, string>> = {},
): PageNode {
  drawing.setAttribute("aria-label", title);
  const keys = Object.entries(key).map(([name, color]) =>
    h("span", { class: "key", style: `--key: ${color}` }, name),
  );
  return h(
    "figure",
    {},
    h("figcaption", {}, h("b", {}, title), ...keys),
    h("div", { class: "scroll" }, drawing),
  );
}

/** How the cells of a column are set: as texts, texts to the right, counts, scores, shares, or shares with a bar. */
export type ColumnKind = "text" | "right" | "count" | "score" | "share" | "bar";

/** A name of a row is cut to this. */
const rowNameCharacters = 60;

/** A table; the first column names its rows. */
export function table(
  page: Page,
  columns: readonly (readonly [title: string, kind: ColumnKind])[],
  rows: readonly (readonly (string | number | undefined)[])[],
  {
    strongRow = -1,
    style = "",
  }: { readonly strongRow?: number; readonly style?: "tall" | "narrow" | "" } = {},
): PageNode {
  const { h } = page;
  const isNumeric = (kind: ColumnKind): Record<string, string> =>
    kind === "text" ? {} : { class: "number" };
  const head = columns.map(([title, kind]) => h("th", { scope: "col", ...isNumeric(kind) }, title));
  const body = rows.map((row, r) =>
    h(
      "tr",
      r === strongRow ? { class: "strong" } : {},
      ...columns.map(([, kind], i) => cell(page, kind, row[i], i === 0)),
    ),
  );
  return h(
    "div",
    { class: `panel scroll ${style}`.trim() },
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)),
  );
}

function cell({ h }: Page, kind: ColumnKind, value: string | number | undefined, isFirst: boolean): PageNode {
  if (value === undefined) return h("td", {});
  if (typeof value === "string") {
    if (isFirst) return h("th", { scope: "row" }, shorten(value, rowNameCharacters));
    return h("td", kind === "text" ? {} : { class: "number" }, value);
  }
  const bar = h("span", { class: "track", style: `--share: ${(100 * value).toFixed(1)}` });
  return h("td", { class: "number" }, kind === "bar" ? bar : undefined, numberText(kind, value));
}

function numberText(kind: ColumnKind, value: number): string {
  if (kind === "share" || kind === "bar") return value.toFixed(3);
  return kind === "score" ? scoreText(value) : formatCount(value);
}

/** A text that is not longer than a figure or a list can show. */
export function shorten(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join("")}…`;
}
