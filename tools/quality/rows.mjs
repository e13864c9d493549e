/** The results of the grid: one JSON row per run in results/quality/rows.jsonl. */
import { existsSync, readFileSync } from "node:fs";
import { writeFileAtomic } from "../../dist/files/index.js";

export { readRows } from "../results-table.mjs";

/** Adds a row: after a crash the file has it as a whole or not at all. */
export async function appendRow(path, row) {
  const before = existsSync(path) ? readFileSync(path, "utf8") : "";
  await writeFileAtomic(path, `${before}${JSON.stringify(row)}\n`);
}
