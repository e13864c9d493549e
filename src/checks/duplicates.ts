import { countOf, type Finding, finding } from "./finding.ts";
import type { Checked, CheckedSplit } from "./split.ts";

/** From this share of a split on, duplicates deserve a warning. */
const notableShare = 0.01;

/** Number of examples whose texts stood in the same split before. */
export function duplicateCount({ examples }: CheckedSplit): number {
  return examples.length - new Set(examples.map(({ key }) => key)).size;
}

/** Equal texts within a split, with equal and with different answers, and across splits. */
export function duplicateFindings(splits: readonly CheckedSplit[]): Finding[] {
  return [
    ...splits.flatMap(repeated),
    ...splits.flatMap(conflicting),
    ...splits.flatMap((first, i) => splits.slice(i + 1).flatMap((second) => shared(first, second))),
  ];
}

function groupsOf(examples: readonly Checked[]): Checked[][] {
  const groups = new Map<string, Checked[]>();
  for (const example of examples) {
    const group = groups.get(example.key);
    if (group === undefined) groups.set(example.key, [example]);
    else group.push(example);
  }
  return [...groups.values()];
}

function repeated({ name, examples }: CheckedSplit): Finding[] {
  const seen = new Set<string>();
  const repeats = examples.filter(({ key, answer }) => {
    const whole = JSON.stringify([key, answer]);
    return seen.has(whole) || !seen.add(whole);
  });
  if (repeats.length === 0) return [];
  const severity = repeats.length / examples.length >= notableShare ? "warning" : "info";
  const message = `${name}: ${countOf(repeats.length, "example", examples.length)} that repeat an earlier one with the same answer.`;
  const advice =
    name === "train" ? "They weigh more in training; remove them unless that is meant." : undefined;
  return [
    finding(severity, "duplicates", message, {
      ...(advice && { advice }),
      places: repeats.map(({ place }) => place),
    }),
  ];
}

function conflicting({ name, examples }: CheckedSplit): Finding[] {
  const groups = groupsOf(examples).filter((group) => new Set(group.map(({ answer }) => answer)).size > 1);
  if (groups.length === 0) return [];
  const places = groups.flat().map(({ place }) => place);
  return [
    finding(
      "warning",
      "label-conflicts",
      `${name}: ${countOf(groups.length, "text")} with different answers (${countOf(places.length, "example", examples.length)}).`,
      { advice: "Decide which answer is right, or whether the text alone can tell.", places },
    ),
  ];
}

function shared(first: CheckedSplit, second: CheckedSplit): Finding[] {
  const known = new Set(first.examples.map(({ key }) => key));
  const common = second.examples.filter(({ key }) => known.has(key));
  if (common.length === 0) return [];
  const share = countOf(common.length, "example", second.examples.length);
  return [
    finding(
      "warning",
      "shared-texts",
      `${second.name}: ${share} with a text that is in ${first.name} as well.`,
      {
        advice: `Scores on ${second.name} are too good by what is only remembered: remove them from ${first.name}.`,
        places: common.map(({ place }) => place),
      },
    ),
  ];
}
