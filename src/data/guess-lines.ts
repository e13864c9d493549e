import { PtuningError } from "../core/index.ts";
import type { ReadOptions } from "./options.ts";
import { openRows } from "./read.ts";

interface LinePattern {
  readonly source: string;
  /** Whether it explains a file that it fits better than the others do. */
  readonly explains: (found: Found) => boolean;
}

/** What a pattern found in all lines of a file. */
interface Found {
  readonly labels: Map<string, number>;
  /** Most labels of a line. */
  most: number;
  lines: number;
}

const isRepeating = ({ labels, lines }: Found): boolean => labels.size > 1 && labels.size <= lines / 3;

/** Patterns of plain-line files seen in the wild; of those that fit all lines the first that explains them is taken. */
const linePatterns: readonly LinePattern[] = [
  {
    source: String.raw`^(?<labels>(?:__label__\S+[ \t]+)*__label__\S+)[ \t]+(?<text>(?!__label__).*)$`,
    explains: (found) => found.most > 1,
  },
  {
    source: String.raw`^(?<text>(?!__label__).*?)[ \t]+(?<labels>(?:__label__\S+[ \t]+)*__label__\S+)[ \t]*$`,
    explains: (found) => found.most > 1,
  },
  {
    source: String.raw`^(?<text>(?!__label__).*?)[ \t]+(?<label>__label__\S+)[ \t]*$`,
    explains: isRepeating,
  },
  { source: String.raw`^(?<label>__label__\S+) (?<text>.*)$`, explains: isRepeating },
  { source: String.raw`^(?<label>[\w-]+):\S+ (?<text>.*)$`, explains: isRepeating },
  { source: String.raw`^(?<label>\d+) (?<text>.*)$`, explains: isRepeating },
];

/** More labels than these are none. */
const maxLabels = 20_000;

/** How the labels of a plain text file stand in its lines: a pattern that fits every one of them. */
export async function guessLines(
  path: string,
  given: ReadOptions,
): Promise<{ readonly options: ReadOptions; readonly labels: readonly string[]; readonly rows: number }> {
  let fitting = linePatterns.map((pattern) => ({
    ...pattern,
    regex: new RegExp(pattern.source, "u"),
    found: { labels: new Map<string, number>(), most: 0, lines: 0 } as Found,
  }));
  let rows = 0;
  let unfit = { line: 1, text: "" };
  const opened = await openRows(path, { ...given, format: "lines" });
  for await (const { line, fields } of opened.rows) {
    rows++;
    const text = String(fields["1"]);
    const before = fitting.length;
    fitting = fitting.filter(({ regex, found }) => {
      const groups = regex.exec(text)?.groups;
      if (groups === undefined) return false;
      const labels = groups.labels?.trim().split(/\s+/) ?? [groups.label!];
      for (const label of labels) found.labels.set(label, (found.labels.get(label) ?? 0) + 1);
      found.most = Math.max(found.most, labels.length);
      found.lines++;
      return found.labels.size <= maxLabels;
    });
    if (fitting.length < before) unfit = { line, text };
    if (fitting.length === 0) break;
  }
  const best = fitting.find(({ explains, found }) => explains(found));
  if (best !== undefined) {
    const options: ReadOptions = { format: "lines", text: 1, labelPattern: best.source };
    return { options, labels: [...best.found.labels.keys()].sort(), rows };
  }
  const at = fitting.length === 0 && rows > 1 ? `line ${unfit.line}: ` : "";
  throw new PtuningError(
    "DATA_INVALID",
    `${path}: ${at}expected a label in every line, found no pattern that fits.`,
    {
      hint: "Give a pattern with the groups label and text: --label-pattern '^(?<label>\\w+)\\t(?<text>.*)$'",
    },
  );
}
