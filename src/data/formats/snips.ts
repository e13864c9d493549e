import type { TextExample, TokenExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { isDamaged, type Line, linesOf, noText } from "../lines.ts";

/** The lines of several files of a folder side by side; files of unequal length are an error. */
async function* parallel(
  input: FormatInput,
  names: readonly string[],
): AsyncGenerator<[number, ...string[]]> {
  const files = names.map((name) => linesOf(input, name));
  try {
    yield* sideBySide(input, names, files);
  } finally {
    // They are closed also where reading ends before one of them does.
    for (const file of files) await file.return(undefined);
  }
}

async function* sideBySide(
  input: FormatInput,
  names: readonly string[],
  files: readonly AsyncGenerator<Line>[],
): AsyncGenerator<[number, ...string[]]> {
  for (let line = 1; ; line++) {
    const next = await Promise.all(files.map((file) => file.next()));
    const ended = next.map(({ done }) => done === true);
    if (ended.every(Boolean)) return;
    if (ended.some(Boolean)) {
      const shorter = names[ended.indexOf(true)];
      throw dataError(input.path, line, `expected as many lines in ${shorter} as in ${names.join(" and ")}`);
    }
    const texts = next.map(({ value }) => (value as { text: string }).text.trim());
    if (texts.some(isDamaged)) input.reject(noText(input.path, line));
    else yield [line, ...texts];
  }
}

async function* slots(input: FormatInput): AsyncGenerator<TokenExample> {
  for await (const [line, sentence, tagged] of parallel(input, ["seq.in", "seq.out"])) {
    const words = sentence!.split(/[ \t]+/);
    const tags = tagged!.split(/[ \t]+/);
    if (sentence === "" && tagged === "") continue;
    if (words.length === tags.length && sentence !== "") yield { words, tags, line };
    else {
      const what = `expected a tag in seq.out for each of ${words.length} words, got ${tags.length}`;
      input.reject(dataError(input.path, line, what));
    }
  }
}

async function* intents(input: FormatInput): AsyncGenerator<TextExample> {
  for await (const [line, text, label] of parallel(input, ["seq.in", "label"])) {
    if (text !== "" && label !== "") yield { text: text!, label: label!, line };
    else if (text !== label) {
      input.reject(dataError(input.path, line, "expected a text and a label, one of them is empty"));
    }
  }
}

/** A folder with the parallel files `seq.in`, `seq.out` and `label` (SNIPS, ATIS as SlotGated-SLU has them). */
export const snips: Format = {
  title: "parallel files seq.in, seq.out, label",
  readers: { tokens: slots, text: intents },
  fits: ({ entries }) => ["seq.in", "seq.out", "label"].every((name) => entries.includes(name)),
};
