/** A report in a real browser: phone and desktop, light and dark. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { renderComparison, renderReport } from "ptuning/internal/report";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { depthComparison, methodComparison } from "../support/comparison.ts";
import { hostileReport } from "../support/report.ts";
import { chromiumPath, has } from "../support/requirements.ts";

const comparisons = { methods: methodComparison(), depth: depthComparison() };
const labelCounts = [2, 16, 60];

describe.skipIf(!has.chromium)("report.html", () => {
  let browser: Browser;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ptuning-report-"));
    for (const labels of labelCounts) {
      await writeFile(join(folder, `${labels} labels.html`), await renderReport(hostileReport(labels)));
    }
    for (const [name, comparison] of Object.entries(comparisons)) {
      await writeFile(join(folder, `${name}.html`), (await renderComparison(comparison)).html);
    }
    browser = await chromium.launch({
      executablePath: chromiumPath,
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true });
  });

  const widths = [360, 390, 820, 1280];
  const pages = [...labelCounts.map((labels) => `${labels} labels`), ...Object.keys(comparisons)];
  test.each(pages.flatMap((name) => widths.map((width) => ({ name, width }))))(
    "$name at $width px: fits, runs nothing, asks for nothing",
    async ({ name, width }) => {
      const page = await browser.newPage({ viewport: { width, height: 800 } });
      const requests: string[] = [];
      page.on("request", (request) => requests.push(request.url()));
      const url = pathToFileURL(join(folder, `${name}.html`)).href;
      await page.goto(url);
      expect(requests).toEqual([url]);
      expect(await page.title()).toContain("<script>");
      expect(await page.locator("script, img").count()).toBe(0);
      // No part may stick out but inside a box that scrolls by itself.
      const wide = await page.evaluate(`[document.documentElement.scrollWidth, innerWidth]`);
      expect(wide).toEqual([width, width]);
      const sticking = await page.evaluate(`[...document.querySelectorAll("body *")].filter((node) =>
      !node.closest(".scroll, svg") && node.getBoundingClientRect().right > innerWidth + 0.5).map((node) => node.outerHTML.slice(0, 200))`);
      expect(sticking).toEqual([]);
      await page.close();
    },
  );

  test("texts stand out from their background, light and dark", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await browser.newPage({ colorScheme });
      await page.goto(pathToFileURL(join(folder, "16 labels.html")).href);
      // WCAG contrast of body text, muted text, badges and predictions against what they stand on.
      const ratios = await page.evaluate(`(() => {
        const channels = (color) => color.match(/[\\d.]+/g).map(Number);
        const luminance = (color) => {
          const [r, g, b] = channels(color).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const background = (node) => {
          for (let at = node; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (channels(color)[3] !== 0) return color;
          }
        };
        return Object.fromEntries(["h1", ".muted", ".key", ".badge.error", ".badge.warning", ".gold", ".wrong", "thead th"].map((selector) => {
          const node = document.querySelector(selector);
          const [a, b] = [luminance(getComputedStyle(node).color), luminance(background(node))];
          return [selector, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
        }));
      })()`);
      expect(Object.entries(ratios as Record<string, number>).filter(([, ratio]) => ratio < 4.5)).toEqual([]);
      const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
      expect(paper).toBe(colorScheme === "light" ? "rgb(251, 251, 250)" : "rgb(20, 23, 28)");
      await page.close();
    }
  });

  test.each(Object.entries(comparisons))(
    "the figure of %s is a drawing of its own",
    async (name, comparison) => {
      const path = join(folder, `${name}.svg`);
      await writeFile(path, (await renderComparison(comparison)).svg!);
      const papers: unknown[] = [];
      for (const colorScheme of ["light", "dark"] as const) {
        const page = await browser.newPage({ colorScheme });
        await page.goto(pathToFileURL(path).href);
        // A document with a mistake in it would be shown as an error.
        expect(await page.evaluate("document.documentElement.localName")).toBe("svg");
        expect(await page.evaluate("document.querySelector('parsererror')")).toBeNull();
        expect(await page.locator("script, image").count()).toBe(0);
        papers.push(await page.evaluate("getComputedStyle(document.documentElement).backgroundColor"));
        await page.close();
      }
      expect(papers).toEqual(["rgb(255, 255, 255)", "rgb(27, 31, 38)"]);
    },
  );
});
