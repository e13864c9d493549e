import { hideSecrets } from "../core/index.ts";
import type { Comparison } from "./comparison.ts";
import type { RunReport } from "./run-report.ts";
import type { SearchReport } from "./search.ts";

/**
 * The report of a run as one self-contained HTML page: no scripts, nothing loaded, every text escaped. It quotes
 * examples of the data set; secrets that can be told by their form are hidden. Loads the plotting library on first use.
 */
export async function renderReport(report: RunReport): Promise<string> {
  const { renderRun } = await import("./html/render.ts");
  return hideSecrets(await renderRun(report));
}

/** A comparison as a page of the same kind, and its figure as an SVG file; without any score there is no figure. */
export async function renderComparison(
  comparison: Comparison,
): Promise<{ readonly html: string; readonly svg: string | undefined }> {
  const { writeComparisonFigure, writeComparisonPage } = await import("./html/comparison.ts");
  return {
    html: hideSecrets(await writeComparisonPage(comparison)),
    svg: await writeComparisonFigure(comparison),
  };
}

/** A search as a page of the same kind, and its heat map as an SVG file, where it has one. */
export async function renderSearch(
  report: SearchReport,
): Promise<{ readonly html: string; readonly svg: string | undefined }> {
  const { writeHeatMap, writeSearchPage } = await import("./html/search.ts");
  return { html: hideSecrets(await writeSearchPage(report)), svg: await writeHeatMap(report) };
}
