import { dataError, type Format, type FormatInput, type Row } from "../format.ts";
import { jsonElements } from "../json-elements.ts";
import { isByColumn, recordsPath } from "../json-outline.ts";
import { isRecord } from "../lines.ts";
import { tableReaders } from "../mapping.ts";

async function* rows(input: FormatInput): AsyncGenerator<Row> {
  const start = await input.start();
  const path = recordsPath(start);
  if (path === undefined) {
    throw dataError(input.path, 1, "expected a JSON list of objects, also under a key such as data", {
      hint: isByColumn(start)
        ? 'The file holds a column after the other. From pandas: to_json(path, orient="records").'
        : "One object per line is read with format: jsonl.",
    });
  }
  for await (const { value, line } of jsonElements(input, path)) {
    if (!isRecord(value)) input.reject(dataError(input.path, line, "expected a JSON object"));
    // The hub's viewer puts each row into one of its own.
    else yield { line, fields: "row_idx" in value && isRecord(value.row) ? value.row : value };
  }
}

/** A JSON document with a list of objects, their keys the columns. */
export const json: Format = {
  title: "JSON list of records",
  readers: tableReaders(rows),
  rows,
  fits: ({ start }) => recordsPath(start) !== undefined || isByColumn(start),
};
