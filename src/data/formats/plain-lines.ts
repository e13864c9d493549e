import { type Format, type FormatInput, isUntold, type Row } from "../format.ts";
import { recordLines } from "../lines.ts";
import { tableReaders } from "../mapping.ts";

async function* rows(input: FormatInput): AsyncGenerator<Row> {
  for await (const { line, text } of recordLines(input)) {
    if (text.trim() !== "") yield { line, fields: { "1": text } };
  }
}

const { text, tokens } = tableReaders(rows);
const onlyColumn = (input: FormatInput): FormatInput => ({
  ...input,
  options: { text: 1, ...input.options },
});

/** Plain text, a record per line: column 1. */
export const plainLines: Format = {
  title: "plain lines",
  readers: {
    text: (input) => text!(onlyColumn(input)),
    // To be predicted: cut into words as in training.
    tokens: (input) => tokens!(onlyColumn(input)),
  },
  rows,
  fits: ({ name, start }) => /\.txt$/.test(name) || (isUntold(name) && start !== ""),
};
