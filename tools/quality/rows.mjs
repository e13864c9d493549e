/** The results of the grid: one JSON row per run in results/quality/rows.jsonl. */
import { existsSync, readFileSync } from "node:fs";
import { writeFileAtomic } from "../../dist/files/index.js";

/** Rows of a file; none where there is no file. */
export const readRows = (path) =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line))
    : [];

/** Adds a row: after a crash the file has it as a whole or not at all. */
export async function appendRow(path, row) {
  const before = existsSync(path) ? readFileSync(path, "utf8") : "";
  await writeFileAtomic(path, `${before}${JSON.stringify(row)}\n`);
}
