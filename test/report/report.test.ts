import { parseHTML } from "linkedom";
import { type RunReport, renderReport } from "ptuning/internal/report";
import { beforeAll, describe, expect, test } from "vitest";
import { attack, hostileReport } from "../support/report.ts";

/** What these tests need of a parsed page. */
interface Parsed {
  readonly title: string;
  readonly body: { readonly textContent: string };
  querySelectorAll(
    selector: string,
  ): readonly { readonly textContent: string; getAttribute(name: string): string }[];
}

async function parsed(report: RunReport): Promise<{ html: string; page: Parsed }> {
  const html = await renderReport(report);
  return { html, page: parseHTML(html).document };
}
const texts = (page: Parsed, selector: string): string[] =>
  [...page.querySelectorAll(selector)].map(({ textContent }) => textContent);

describe("a run with markup in every text", () => {
  let html: string;
  let page: Parsed;
  beforeAll(async () => {
    ({ html, page } = await parsed(hostileReport()));
  });

  test("has no script, loads nothing, and shows the texts as they are", () => {
    expect(page.querySelectorAll("script, img, link, iframe, object, form, a")).toHaveLength(0);
    expect(html).not.toMatch(/<script|<img|url\(|@import/i);
    expect(html.replaceAll("http://www.w3.org/", "")).not.toMatch(/https?:/);
    expect(html).toContain("default-src 'none'");
    const attributes = [...html.matchAll(/ (on\w+|src|href|srcset)=/g)].map(([, name]) => name);
    // The attack itself stands in the page as text, with its quotes escaped or not: never inside a tag.
    expect([...page.querySelectorAll("*")].filter((node) => node.getAttribute("onerror")).length).toBe(0);
    expect(new Set(attributes)).toEqual(new Set(["src", "onerror"]));
    expect(page.title).toBe(`run ${attack} · ptuning`);
    for (const text of [
      `careful ${attack}`,
      `CPU ${attack}`,
      `/data/${attack}.csv`,
      `text 7 ${attack}`,
      `broken ${attack}`,
    ]) {
      expect(page.body.textContent).toContain(text);
    }
  });

  test("has every section and figure", () => {
    expect(texts(page, "h2")).toEqual(["Scores", "Training", "Dev examples", "Data", "Settings"]);
    const figures = [...page.querySelectorAll("svg")].map((svg) => svg.getAttribute("aria-label"));
    expect(figures).toEqual([
      ...["Loss", "Dev scores", "Learning rate", "Gradient norm"],
      ...["Gold in rows, predicted in columns", "Lengths", "Labels"],
    ]);
    expect(texts(page, "dl.tiles dd").map((text) => text.slice(0, 6))).toEqual([
      "0.8800",
      "0.9000",
      "92,000",
      "1 min ",
    ]);
  });

  test("shows the examples with the greatest loss, worst first, with their texts", () => {
    const items = texts(page, "ol.list li");
    expect(items).toHaveLength(20);
    expect(items[0]).toMatch(/loss 9\.500 · line 8/);
    expect(items[0]).toContain("مرحبا بالعالم\nsecond line");
    expect(items[1]).toMatch(/loss 0\.290 · line 30/);
  });

  test("stays small: long runs are thinned", async () => {
    const long = await renderReport(hostileReport(5, 100_000));
    expect(long.length).toBeLessThan(1.3 * html.length);
    expect(html.length).toBeLessThan(200_000);
  });
});

test("scores: predictions over gold numbers, thinned where they are many", async () => {
  const report = hostileReport();
  const draw = (count: number): Promise<{ page: Parsed; html: string }> => {
    const points = Array.from({ length: count }, (_, i) => [i % 7, (i % 5) + 0.5] as const);
    const review = { matrices: [], tables: [], scatters: [{ title: attack, points }], examples: [] };
    return parsed({ ...report, dev: { ...report.dev!, review } });
  };
  const { page } = await draw(40);
  expect(texts(page, "figcaption")).toContain("Predicted over gold scores");
  expect(texts(page, "h3")).toContain(attack);
  const circles = async (count: number): Promise<number> =>
    (await draw(count)).page.querySelectorAll("svg[aria-label^=Predicted] circle").length;
  expect([await circles(40), await circles(3100), await circles(0)]).toEqual([40, 1034, 0]);
});

test("reliability: a curve per temperature over its bins, and the calibration errors", async () => {
  const report = hostileReport();
  const bins = Array.from({ length: 15 }, (_, i) => {
    const count = i < 5 ? 0 : 4 * i;
    return {
      from: i / 15,
      to: (i + 1) / 15,
      count,
      confidence: count && (i + 0.5) / 15,
      accuracy: count && i / 15,
    };
  });
  const curves = [1, 1.73456].map((temperature, i) => ({ temperature, ece: 0.1 - 0.08 * i, bins }));
  const reliability = [{ title: attack, curves, note: `careful ${attack}` }];
  const review = { matrices: [], tables: [], reliability, examples: [] };
  const { page } = await parsed({ ...report, dev: { ...report.dev!, review } });
  expect(texts(page, "h3")).toContain(attack);
  expect(texts(page, ".columns p.muted")).toContain(`careful ${attack}`);
  expect(texts(page, "figcaption")).toContain(
    "Right answers over probabilitytemperature 1: ECE 0.1000temperature 1.735: ECE 0.0200",
  );
  // Empty bins are not drawn.
  expect(page.querySelectorAll("svg[aria-label^=Right] circle")).toHaveLength(20);
});

test("dev scores leave out errors, unless one of them decides", async () => {
  const report = hostileReport();
  const evaluations = report.evaluations.map((one) => ({ ...one, scores: { ...one.scores, ece: 0.05 } }));
  const shown = async (more: Partial<RunReport>): Promise<string> => {
    const { page } = await parsed({ ...report, evaluations, ...more });
    return texts(page, "figcaption").find((text) => text.startsWith("Dev scores"))!;
  };
  expect(await shown({})).toBe("Dev scoresaccuracymacro F1ece");
  expect(await shown({ lowerIsBetter: ["ece"] })).toBe("Dev scoresaccuracymacro F1");
  const start = { ...report.start!, settings: { ...report.start!.settings, selectBy: "ece" } };
  expect(await shown({ lowerIsBetter: ["ece"], start })).toBe("Dev scoresaccuracymacro F1ece");
});

test("many labels: the most frequent confusions in place of the matrix", async () => {
  const { page } = await parsed(hostileReport(60));
  expect(texts(page, "h3")).toContain("Most frequent confusions");
  expect(texts(page, "figcaption")).toContain("Labels: the 12 most frequent and the 12 rarest of 60");
});

test("an unfinished run shows its course so far and how far it came", async () => {
  const { result, dev, checks, ...rest } = hostileReport();
  const { page } = await parsed({
    ...rest,
    steps: rest.steps.slice(0, 450),
    evaluations: rest.evaluations.slice(0, 1),
  });
  expect(texts(page, "header p")[0]).toMatch(/unfinished: 450 of 900 updates/);
  expect(texts(page, "h2")).toEqual(["Scores", "Training", "Settings"]);
});

test("a run that was stopped before its first update has a report", async () => {
  const { page } = await parsed({
    ...{
      name: "x",
      task: "text-classification",
      steps: [],
      evaluations: [],
      warnings: [],
      settings: {},
      notes: [],
    },
    ...{ createdAt: "2026-01-02T03:04:05.678Z", version: "0.1.0" },
  });
  expect(texts(page, "header p")[0]).toMatch(/unfinished: 0 of \? updates/);
});
