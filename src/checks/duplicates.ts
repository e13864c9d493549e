import { FirstRows } from "../data/index.ts";
import { countOf, type Finding, finding, Places } from "./finding.ts";
import type { CheckedSplit } from "./split.ts";

/** From this share of a split on, duplicates deserve a warning. */
const notableShare = 0.01;

/** A part of a data set, and which of its texts are equal. */
interface Keyed {
  readonly split: CheckedSplit;
  readonly rows: FirstRows;
  /** For each row the first with the same text. */
  readonly first: Int32Array;
}

/** What is known of equal texts. */
interface Duplicates {
  /** By split, the number of examples whose texts stood in the same split before. */
  readonly counts: readonly number[];
  readonly findings: readonly Finding[];
}

/** Equal texts within a split, with equal and with different answers, and across splits. */
export function findDuplicates(splits: readonly CheckedSplit[]): Duplicates {
  const keyed = splits.map(keyedOf);
  const within = keyed.map(repeatsOf);
  return {
    counts: keyed.map(({ first }) => first.reduce((sum, own, row) => sum + Number(own !== row), 0)),
    findings: [
      ...within.flatMap(({ repeated }) => repeated),
      ...within.flatMap(({ conflicting }) => conflicting),
      ...keyed.flatMap((first, i) => keyed.slice(i + 1).flatMap((second) => shared(first, second))),
    ],
  };
}

function keyedOf(split: CheckedSplit): Keyed {
  const rows = new FirstRows((row) => [split.key(row)], split.count);
  const first = Int32Array.from({ length: split.count }, (_, row) => rows.add(row, split.key(row)));
  return { split, rows, first };
}

/** Texts that stand in a split again: with the same answer, and with another one. */
function repeatsOf({ split, first }: Keyed): { repeated: Finding[]; conflicting: Finding[] } {
  const { count } = split;
  const isRepeated = new Uint8Array(count);
  for (const [row, own] of first.entries()) if (own !== row) isRepeated[own] = 1;
  const wholeOf = (row: number): string => JSON.stringify([first[row], split.answer(row)]);
  const wholes = new FirstRows((row) => [wholeOf(row)]);
  const repeats = new Places();
  /** By the first row of a text, whether there are different answers to it. */
  const isConflict = new Uint8Array(count);
  for (const [row, own] of first.entries()) {
    if (isRepeated[own] === 0) continue;
    if (wholes.add(row, wholeOf(row)) !== row) repeats.add(split.place(row));
    else if (own !== row) isConflict[own] = 1;
  }
  return {
    repeated: repeats.count === 0 ? [] : [repeatedFinding(split, repeats)],
    conflicting: conflicts(split, first, isConflict),
  };
}

function repeatedFinding({ name, count }: CheckedSplit, places: Places): Finding {
  const severity = places.count / count >= notableShare ? "warning" : "info";
  const message = `${name}: ${countOf(places.count, "example", count)} that repeat an earlier one with the same answer.`;
  const advice =
    name === "train" ? "They weigh more in training; remove them unless that is meant." : undefined;
  return finding(severity, "duplicates", message, { ...(advice && { advice }), places });
}

function conflicts(split: CheckedSplit, first: Int32Array, isConflict: Uint8Array): Finding[] {
  const { name, count } = split;
  let [texts, examples] = [0, 0];
  /** The first few texts, each with its places. */
  const named = new Map<number, Places>();
  for (const [row, own] of first.entries()) {
    if (isConflict[own] === 0) continue;
    examples++;
    if (row === own && ++texts <= Places.most) named.set(own, new Places());
    named.get(own)?.add(split.place(row));
  }
  if (texts === 0) return [];
  const places = new Places();
  for (const own of named.values()) for (const place of own.named) places.add(place);
  return [
    finding(
      "warning",
      "label-conflicts",
      `${name}: ${countOf(texts, "text")} with different answers (${countOf(examples, "example", count)}).`,
      { advice: "Decide which answer is right, or whether the text alone can tell.", places },
    ),
  ];
}

function shared({ split: first, rows }: Keyed, { split: second }: Keyed): Finding[] {
  const common = new Places();
  for (let row = 0; row < second.count; row++) {
    if (rows.find(second.key(row)) >= 0) common.add(second.place(row));
  }
  if (common.count === 0) return [];
  const share = countOf(common.count, "example", second.count);
  return [
    finding(
      "warning",
      "shared-texts",
      `${second.name}: ${share} with a text that is in ${first.name} as well.`,
      {
        advice: `Scores on ${second.name} are too good by what is only remembered: remove them from ${first.name}.`,
        places: common,
      },
    ),
  ];
}
