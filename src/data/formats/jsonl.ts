import type { Format } from "../format.ts";
import { isJsonLines } from "../json-outline.ts";
import { jsonRows } from "../lines.ts";
import { tableReaders } from "../mapping.ts";

/** JSON lines: an object per line, its keys the columns. */
export const jsonl: Format = {
  title: "JSON lines",
  readers: tableReaders(jsonRows),
  rows: jsonRows,
  fits: isJsonLines,
};
