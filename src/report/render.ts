import type { RunReport } from "./run-report.ts";

/**
 * The report of a run as one self-contained HTML page: no scripts, nothing loaded, every text escaped. It quotes
 * examples of the data set. Loads the plotting library on first use.
 */
export async function renderReport(report: RunReport): Promise<string> {
  const { renderRun } = await import("./html/render.ts");
  return renderRun(report);
}
