import { countOf, type Finding, finding, Places, someOf } from "./finding.ts";
import type { CheckedSplit } from "./split.ts";

/** Fewer training examples than this seldom teach a label. */
const fewExamples = 10;
/** How many times as frequent as the rarest the most frequent label may be, before it is said. */
const notableRatio = 10;

/** How often a label occurs; an example counts once, however often it has the label. */
export interface LabelCount {
  readonly label: string;
  readonly train: number;
  readonly dev: number;
  readonly test: number;
}

/** Every label, the most frequent in training first. */
export function countLabels(splits: readonly CheckedSplit[]): LabelCount[] {
  const counts = new Map<string, { train: number; dev: number; test: number }>();
  for (const split of splits) {
    for (let row = 0; row < split.count; row++) {
      for (const label of split.look(row).labels) {
        const count = counts.get(label) ?? { train: 0, dev: 0, test: 0 };
        count[split.name]++;
        counts.set(label, count);
      }
    }
  }
  return [...counts]
    .map(([label, count]) => ({ label, ...count }))
    .sort((a, b) => b.train - a.train || (a.label < b.label ? -1 : 1));
}

/** Labels that cannot be learnt or hardly, and uneven ones. */
export function labelFindings(splits: readonly CheckedSplit[], counts: readonly LabelCount[]): Finding[] {
  const findings: Finding[] = [];
  for (const name of ["dev", "test"] as const) {
    const unseen = counts.filter((count) => count.train === 0 && count[name] > 0).map(({ label }) => label);
    if (unseen.length === 0) continue;
    const places = placesOf(splits.find((split) => split.name === name)!, new Set(unseen));
    findings.push(
      finding(
        "warning",
        "unseen-labels",
        // As readers say it for dev, so that it is said once.
        `${countOf(unseen.length, "label")} ${unseen.length === 1 ? "occurs" : "occur"} in the ${name} data only and cannot be learnt: ${unseen.slice(0, 10).join(", ")}.`,
        { advice: "Add training examples of them, or correct them where they are misspelt.", places },
      ),
    );
  }
  const learnt = counts.filter(({ train }) => train > 0);
  const rare = learnt.filter(({ train }) => train < fewExamples);
  if (rare.length > 0) {
    const names = rare.map(({ label, train }) => `${label} (${train})`);
    findings.push(
      finding(
        "warning",
        "rare-labels",
        `${countOf(rare.length, "label")} with fewer than ${fewExamples} training examples: ${someOf(names)}.`,
        { advice: "Add examples, join labels, or leave them out." },
      ),
    );
  }
  const [most, least] = [learnt[0], learnt.at(-1)];
  if (most !== undefined && least !== undefined && most.train / least.train >= notableRatio) {
    const ratio = Math.round(most.train / least.train);
    findings.push(
      finding(
        "info",
        "label-balance",
        `"${most.label}" is ${ratio} times as frequent in training as "${least.label}".`,
        {
          advice:
            "Look at macro-averaged scores beside the others; weigh rare labels up where the task can " +
            "(task.classWeights: balanced).",
        },
      ),
    );
  }
  return findings;
}

/** The examples that have one of some labels. */
function placesOf(split: CheckedSplit, labels: ReadonlySet<string>): Places {
  const places = new Places();
  for (let row = 0; row < split.count; row++) {
    if (split.look(row).labels.some((label) => labels.has(label))) places.add(split.place(row));
  }
  return places;
}
