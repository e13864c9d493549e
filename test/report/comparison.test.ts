import { parseHTML } from "linkedom";
import {
  comparisonCsv,
  comparisonMarkdown,
  comparisonText,
  renderComparison,
  spreadOf,
} from "ptuning/internal/report";
import { describe, expect, test } from "vitest";
import { depthComparison, finishedRun, methodComparison } from "../support/comparison.ts";

test("the deviation is that between runs: numpy.std(ddof=1) of the same numbers", () => {
  const { mean, deviation } = spreadOf([0.94, undefined, 0.95, 0.93, 0.902])!;
  expect(mean).toBeCloseTo(0.9305, 12);
  expect(deviation).toBeCloseTo(0.020680103158994767, 12);
  expect(spreadOf([0.5])).toEqual({ mean: 0.5, count: 1 });
  expect(spreadOf([undefined])).toBeUndefined();
});

describe("the table of methods", () => {
  const lines = comparisonText(methodComparison()).split("\n");

  test("has a row for each, means over the runs that finished, and what failed", () => {
    expect(lines).toHaveLength(5);
    expect(lines[0]).toMatch(/test accuracy +trainable +s\/epoch +s to best +peak memory +saved +note$/);
    expect(lines[1]).toMatch(/^p-tuning-v2 +0\.9400 ± 0\.0100 +94,470 +11 +40 +512\.0 MB +379\.0 KB$/);
    expect(lines[2]).toMatch(/^fine-tuning +0\.9650 ± 0\.0071 .* 1 of 3 failed: TRAINING_DIVERGED: loss/);
    expect(lines[3]).toMatch(/^bitfit .* failed: TRAINING_DIVERGED/);
    expect(lines[4]).toMatch(/^linear-probe +not done yet$/);
  });

  test("is the same as Markdown, with every text as a text", () => {
    const text = comparisonMarkdown(methodComparison(), "figure.svg");
    expect(text).toContain("| p-tuning-v2 | 0.9400 ± 0.0100 | 94,470 |");
    expect(text).toContain("](figure.svg)");
    expect(text).not.toMatch(/<(script|img|\/title)/);
  });

  test("as CSV has plain numbers, and no formula in front of a cell", () => {
    const [head, first, ...rest] = comparisonCsv(depthComparison()).trim().split("\n");
    expect(head).toBe(
      "name,series,at,score,mean,deviation,finished,runs,trainable,secondsPerEpoch,secondsToBest,peakMemoryBytes,fileBytes,note",
    );
    expect(first).toMatch(
      /^first 1,ascending,1,dev accuracy,0\.63,0\.028\d+,2,2,94470,11\.25,40,512000000,379000,$/,
    );
    expect(rest).toHaveLength(6);
  });
});

describe("the page", () => {
  test("has the figure, every run, and each failure once with all of its seeds", async () => {
    const { html } = await renderComparison(methodComparison());
    const { document } = parseHTML(html);
    const texts = (selector: string): string[] =>
      [...document.querySelectorAll(selector)].map((node) => node.textContent ?? "");
    expect(texts("h2")).toEqual(["Scores", "Figures", "Runs", "Failed runs"]);
    expect(document.querySelectorAll("script, img, link, iframe, object, form, a")).toHaveLength(0);
    expect(texts("ul.list li").map((text) => text.replace(/<.*/s, ""))).toEqual([
      "fine-tuning, seed 12TRAINING_DIVERGEDloss: expected a number ",
      "bitfit ",
    ]);
    expect(texts("ul.list li")[1]).toMatch(/seeds 11, 12, 13/);
    const bars = [...document.querySelectorAll("[aria-label=bar] rect")];
    expect(bars).toHaveLength(2);
    // Bars start at 0: their lengths are as the scores.
    const [shorter, longer] = bars.map((bar) => Number(bar.getAttribute("width")));
    expect(shorter! / longer!).toBeCloseTo(0.94 / 0.965, 6);
    expect(texts("svg text").filter((text) => text === "failed" || text === "not done yet")).toHaveLength(2);
  });

  test("curves meet where a variant lies on all of them", async () => {
    const { html, svg } = await renderComparison(depthComparison());
    const { document } = parseHTML(html);
    const dots = [...document.querySelectorAll("[aria-label=dot]")].map((group) =>
      [...group.querySelectorAll("circle")].map(
        (dot) => `${dot.getAttribute("cx")} ${dot.getAttribute("cy")}`,
      ),
    );
    expect(dots.map((curve) => curve.length)).toEqual([4, 4]);
    expect(dots[0]!.at(-1)).toBe(dots[1]!.at(-1));
    expect(document.querySelector(".key")?.textContent).toBe("ascending");
    expect(svg).toContain('xmlns="http://www.w3.org/2000/svg"');
    expect(svg).toContain("prefers-color-scheme: dark");
    expect(svg).toMatch(/>ascending<\/text>.*>descending<\/text>/);
  });

  test("names of many curves stand in rows inside the figure, each in its own colour", async () => {
    const names = ["fine-tuning", "p-tuning-v2", "lora", "bitfit", "prompt-tuning", "linear-probe"];
    const given = depthComparison();
    const curve = given.variants.filter(({ series }) => series === "ascending");
    expect(curve.length).toBeGreaterThan(1);
    const variants = names.flatMap((series) =>
      curve.map((variant) => ({ ...variant, name: `${series}, ${variant.at}`, series })),
    );
    const { svg } = await renderComparison({ ...given, variants });
    const { document } = parseHTML(svg!);
    const texts = [...document.querySelectorAll("text")].filter((text) => names.includes(text.textContent!));
    expect(texts.map((text) => text.textContent)).toEqual(names);
    expect(new Set(texts.map((text) => text.getAttribute("fill"))).size).toBe(names.length);
    const [, top, width] = document.querySelector("svg")!.getAttribute("viewBox")!.split(" ").map(Number);
    const places = texts.map((text) => {
      const [x, y] = [Number(text.getAttribute("x")), Number(text.getAttribute("y"))];
      // Bold letters of this size are about seven units wide.
      return { y, left: x, right: x + 7 * text.textContent!.length };
    });
    for (const { y, right } of places) {
      expect(right).toBeLessThanOrEqual(width!);
      expect(y).toBeGreaterThan(top!);
    }
    for (const [i, { y, left }] of places.slice(1).entries())
      if (places[i]!.y === y) expect(left).toBeGreaterThan(places[i]!.right);
  });

  test("without any score there is no figure", async () => {
    const comparison = { ...methodComparison(), variants: methodComparison().variants.slice(2) };
    const { html, svg } = await renderComparison(comparison);
    expect(svg).toBeUndefined();
    expect(html).not.toContain("<svg");
  });

  test("a single run has no deviation", () => {
    const variants = [{ name: "x", runs: [finishedRun(11, 0.5)] }];
    expect(comparisonText({ ...methodComparison(), variants })).toMatch(/^x +0\.5000 +94,470/m);
  });
});
