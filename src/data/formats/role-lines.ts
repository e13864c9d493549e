import type { RoleExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { recordLines } from "../lines.ts";

async function* read(input: FormatInput): AsyncGenerator<RoleExample> {
  for await (const { line, text } of recordLines(input)) {
    if (text.trim() === "") continue;
    try {
      yield example(text, line, input.path);
    } catch (error) {
      input.reject(error);
    }
  }
}

function example(text: string, line: number, path: string): RoleExample {
  const parts = text.split("|||");
  if (parts.length > 2) {
    throw dataError(path, line, `expected one "|||" between words and labels, got ${parts.length - 1}`);
  }
  const [number, ...words] = parts[0]!.trim().split(/[ \t]+/);
  const predicate = /^\d+$/.test(number!) ? Number(number) : Number.NaN;
  if (!(predicate < words.length)) {
    const what = `expected the number of the predicate's word, from 0 to ${words.length - 1}, got "${number!.slice(0, 40)}"`;
    throw dataError(path, line, what);
  }
  // Without labels: data that are only to be predicted.
  const tags = parts[1]
    ?.trim()
    .split(/[ \t]+/)
    .filter((tag) => tag !== "");
  if (tags !== undefined && tags.length > 0 && tags.length !== words.length) {
    throw dataError(path, line, `expected a label for each of ${words.length} words, got ${tags.length}`);
  }
  return {
    words,
    predicate,
    ...(tags !== undefined && tags.length > 0 && { tags }),
    group: words.join(" "),
    line,
  };
}

/** A line per predicate: its word's number from 0, the words, `|||`, IOB2 labels (the reference's SRL files). */
export const roleLines: Format = {
  title: "lines of predicate, words ||| labels",
  readers: { roles: read },
  fits: ({ start }) => /^\d+[ \t][^\n]*\|\|\|/.test(start),
};
