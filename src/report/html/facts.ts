import type { Scores } from "../../metrics/index.ts";
import { formatBytes, formatCount, formatDuration, formatShare } from "../format.ts";
import type { RunReport } from "../run-report.ts";
import type { Child, Page, PageNode } from "./page.ts";
import { scoreText, scoreTitle, section, table } from "./parts.ts";

/** Name, state, and the figures that one looks for first. */
export function headerSection({ h }: Page, report: RunReport): PageNode {
  const { result, start, evaluations, steps, name, task } = report;
  const best = result?.best ?? evaluations.findLast((evaluation) => evaluation.best);
  const metric = start?.settings.selectBy === "loss" ? undefined : start?.settings.selectBy;
  const tile = (title: string, value: string, detail?: string): PageNode =>
    h("div", { class: "tile" }, h("dt", {}, title), h("dd", {}, value, detail && h("small", {}, detail)));
  const score = (scores: Readonly<Record<string, number>>): [string, string] | undefined => {
    const key = metric !== undefined && metric in scores ? metric : Object.keys(scores)[0];
    return key === undefined ? undefined : [key, scoreText(scores[key]!)];
  };
  const scored = (
    title: string,
    scores: Readonly<Record<string, number>> | undefined,
    detail?: string,
  ): Child => {
    const found = scores && score(scores);
    return found && tile(`${title} ${scoreTitle(found[0])}`, found[1], detail);
  };
  const seconds = result?.seconds ?? steps.reduce((sum, step) => sum + step.seconds, 0);
  const examples =
    start && `${formatCount(start.examples.train)} train, ${formatCount(start.examples.dev)} dev`;
  return h(
    "header",
    {},
    h("h1", {}, name),
    h("p", {}, [task, stateText(report), examples].filter(Boolean).join(" · ")),
    h(
      "dl",
      { class: "tiles" },
      scored("Test", result?.test, bestBaseline(report)),
      scored(best?.leftOut ? "Left out" : "Dev", best?.scores, best && `at update ${formatCount(best.step)}`),
      start &&
        tile(
          "Trainable",
          formatCount(start.inventory.trainableTotal),
          `${formatShare(start.inventory.share)} of all parameters`,
        ),
      steps.length > 0
        ? tile("Time", formatDuration(seconds), `${formatCount(steps.at(-1)!.step)} updates`)
        : undefined,
    ),
    h(
      "div",
      {},
      report.notes.map((note) => h("p", { class: "muted" }, note)),
    ),
  );
}

function stateText({ result, steps, start }: RunReport): string {
  if (result?.reason === "early") return "stopped early: no better score";
  if (result !== undefined) return "finished";
  const done = steps.at(-1)?.step ?? 0;
  return `unfinished: ${formatCount(done)} of ${start ? formatCount(start.totalSteps) : "?"} updates`;
}

function bestBaseline({ result }: RunReport): string | undefined {
  const scored = result?.baselines?.flatMap(({ name, scores }) => {
    const [value] = Object.values(scores);
    return value === undefined ? [] : [{ name, value }];
  });
  const best = scored?.toSorted((a, b) => b.value - a.value)[0];
  return best && `best baseline ${scoreText(best.value)}: ${best.name}`;
}

/** The heads of a run whose head was fitted again, as rows name those that were not kept. */
const headNames = [
  ["trained", "head as it was trained"],
  ["fitted", "head fitted again, not kept"],
  ["blended", "head on the untouched backbone as well, not kept"],
] as const;

/** All scores of the run and of the baselines beside it. */
export function scoresSection(
  page: Page,
  { result, warnings, evaluations, refits = [] }: RunReport,
): PageNode | undefined {
  const best = result?.best ?? evaluations.findLast((evaluation) => evaluation.best);
  const rows = [
    { name: best?.leftOut ? "rows left out" : "dev, kept state", scores: best?.scores },
    ...refits.flatMap(({ task, taken, kept = taken ? "fitted" : "trained", leftOut, ...heads }) =>
      headNames
        .filter(([name]) => name !== kept)
        .map(([name, title]) => ({
          name: `${leftOut ? "rows left out" : "dev"}, ${title}`,
          scores: byTask(task, heads[name]?.scores),
        })),
    ),
    { name: "dev, frozen layers in fp32", scores: result?.exact },
    { name: "test", scores: result?.test },
    ...(result?.baselines ?? []).map(({ name, scores }) => ({ name: `test, ${name}`, scores })),
  ].flatMap(({ name, scores }) =>
    scoresByTask(scores).map((one) => ({ name: [one.task, name].filter(Boolean).join(": "), ...one })),
  );
  if (rows.length === 0 && warnings.length === 0) return undefined;
  const names = [...new Set(rows.flatMap(({ scores }) => Object.keys(scores)))];
  const columns = names.map((name) => [scoreTitle(name), "score"] as const);
  return section(
    page,
    "Scores",
    rows.length > 0
      ? table(
          page,
          [["on", "text"], ...columns],
          rows.map(({ name, scores }) => [name, ...names.map((score) => scores[score])]),
          { strongRow: rows.findIndex(({ name }) => name === "test") },
        )
      : undefined,
    warnings.length > 0
      ? page.h(
          "ul",
          { class: "list", style: "margin-top: 1rem" },
          warnings.map((text) => warning(page, text)),
        )
      : undefined,
  );
}

/** Scores of one of several tasks under the names of the run. */
function byTask(task: string | undefined, scores: Scores | undefined): Scores | undefined {
  if (task === undefined || scores === undefined) return scores;
  return Object.fromEntries(Object.entries(scores).map(([score, value]) => [`${task}/${score}`, value]));
}

/** `NAME/SCORE` of several tasks apart, each task with its own; what belongs to the whole run comes first. */
function scoresByTask(scores: Scores = {}): { readonly task: string; readonly scores: Scores }[] {
  const byTask = new Map<string, Record<string, number>>();
  for (const [key, value] of Object.entries(scores)) {
    const [score, task = ""] = key.split("/").toReversed();
    byTask.set(task, { ...byTask.get(task), [score!]: value });
  }
  return [...byTask].map(([task, own]) => ({ task, scores: own }));
}

function warning({ h }: Page, text: string): PageNode {
  const badge = h("span", { class: "badge warning" }, "warning");
  return h("li", { class: "item" }, h("div", { class: "line" }, badge, h("span", {}, text)));
}

/** Every setting by section, then the machine and the versions. */
export function settingsSection(page: Page, report: RunReport): PageNode {
  const { settings, result, start, steps } = report;
  const tokens = steps.reduce((sum, step) => sum + step.tokens, 0);
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  const machine: Record<string, unknown> = {
    hardware: result?.hardware,
    engine: start?.engine,
    precision: start && `${start.settings.precision} (frozen layers)`,
    "peak memory": result && formatBytes(result.peakMemoryBytes),
    speed: seconds > 0 ? `${formatCount(Math.round(tokens / seconds))} tokens/s in training` : undefined,
    ...result?.versions,
  };
  const groups = Object.entries({ ...settings, machine }).filter(([, values]) =>
    Object.values(values).some((value) => value !== undefined),
  );
  return section(
    page,
    "Settings",
    page.h(
      "div",
      { class: "masonry" },
      groups.map(([name, values]) =>
        page.h("div", {}, page.h("h3", {}, sentence(name)), factsTable(page, values)),
      ),
    ),
  );
}

function factsTable({ h }: Page, facts: Readonly<Record<string, unknown>>): PageNode {
  const rows = Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) =>
      h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "value" }, valueText(value))),
    );
  return h("div", { class: "panel scroll" }, h("table", {}, h("tbody", {}, rows)));
}

/** Items of a list that are shown: label lists can be long. */
const shownItems = 20;

function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) {
    const rest = value.length - shownItems;
    return `${value.slice(0, shownItems).map(valueText).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
  }
  return JSON.stringify(value) ?? "";
}

function sentence(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
