import { messageOf, PtuningError } from "../core/index.ts";
import type { Dataset } from "../data/index.ts";
import type { Task } from "../tasks/index.ts";
import { choosesOnLeftOut, isSmallData, smallData } from "../train/index.ts";
import { findDuplicates } from "./duplicates.ts";
import { countOf, type Finding, finding, Places, type SplitName } from "./finding.ts";
import { countLabels, type LabelCount, labelFindings } from "./labels.ts";
import { type LengthLimits, type Lengths, measureLengths } from "./lengths.ts";
import { type CheckedSplit, checkedSplits } from "./split.ts";
import { type Suggestions, suggest } from "./suggest.ts";

/** What was found in a data set: plain data, without texts of examples. */
export interface DataChecks {
  readonly splits: readonly {
    readonly name: SplitName;
    readonly examples: number;
    /** Examples whose texts stood in the same split before. */
    readonly duplicates: number;
  }[];
  readonly labels: readonly LabelCount[];
  /** Absent without a tokenizer, or where the task cannot take the data. */
  readonly lengths?: Lengths;
  readonly suggestions?: Suggestions;
  /** Worst first. */
  readonly findings: readonly Finding[];
}

/** Fewer dev examples than this make a shaky choice of the best state. */
const fewDevExamples = 100;
const fewTrainExamples = 50;

/**
 * Checks a data set against a task and, where limits are given, against a backbone.
 * @param task whose `reads` says which kind of examples it is
 */
export async function checkData<E>(
  data: Dataset<E>,
  task: Task<E>,
  limits?: LengthLimits,
): Promise<DataChecks> {
  const splits = checkedSplits(data, task.reads);
  const labels = countLabels(splits);
  const duplicates = findDuplicates(splits);
  const found = [
    ...splits.flatMap(markingFindings),
    ...duplicates.findings,
    ...labelFindings(splits, labels),
    ...sizeFindings(data, task),
  ];
  // What readers noticed and a check says better is not said twice.
  const fromReaders = data.warnings
    .filter((message) => !found.some((own) => own.message === message))
    .map((message) => finding("warning", "reader", message));
  const measured = limits && (await measure(data, task, limits));
  const findings = [...fromReaders, ...found, ...(measured?.findings ?? [])];
  const rank = { error: 0, warning: 1, info: 2 } as const;
  return {
    splits: splits.map(({ name, count }, i) => ({
      name,
      examples: count,
      duplicates: duplicates.counts[i]!,
    })),
    labels,
    ...measured,
    findings: findings.sort((a, b) => rank[a.severity] - rank[b.severity]),
  };
}

async function measure<E>(
  data: Dataset<E>,
  task: Task<E>,
  limits: LengthLimits,
): Promise<Pick<DataChecks, "lengths" | "suggestions" | "findings">> {
  try {
    const { lengths, findings, train, items } = await measureLengths(data, task, limits);
    return { lengths, findings, suggestions: suggest(train, items, limits.longest) };
  } catch (error) {
    if (!(error instanceof PtuningError)) throw error;
    return {
      findings: [finding("error", "task", messageOf(error), error.hint ? { advice: error.hint } : {})],
    };
  }
}

/** Examples that are wrong in themselves. */
function markingFindings(split: CheckedSplit): Finding[] {
  const { name, count } = split;
  const sorts = [
    ["problems", "error", "Correct the file, or leave them out."],
    ["oddities", "warning", "Does no harm by itself, but is seldom meant."],
  ] as const;
  const wrong = { problems: new Map<string, Places>(), oddities: new Map<string, Places>() };
  const unanswered = new Places();
  for (let row = 0; row < count; row++) {
    const example = split.look(row);
    for (const [sort] of sorts) {
      for (const what of example[sort].length > 1 ? new Set(example[sort]) : example[sort]) {
        const places = wrong[sort].get(what) ?? new Places();
        places.add(split.place(row));
        wrong[sort].set(what, places);
      }
    }
    if (example.answer === undefined) unanswered.add(split.place(row));
  }
  const findings = sorts.flatMap(([sort, severity, advice]) =>
    [...wrong[sort]].map(([what, places]) => {
      const message = `${name}: ${countOf(places.count, "example", count)} with ${what}.`;
      return finding(severity, "marking", message, { advice, places });
    }),
  );
  if (unanswered.count === 0) return findings;
  const message = `${name}: ${countOf(unanswered.count, "example", count)} without a gold answer.`;
  return [...findings, finding("error", "unanswered", message, { places: unanswered })];
}

function sizeFindings({ train, dev, test }: Dataset<unknown>, { head }: Pick<Task, "head">): Finding[] {
  const findings: Finding[] = [];
  if (train.length < fewTrainExamples) {
    findings.push(
      finding("warning", "few-examples", `train: ${countOf(train.length, "example")} are few to learn from.`),
    );
  }
  if (dev.length === 0 && isSmallData(train.length) && choosesOnLeftOut({}, head, {})) {
    findings.push(
      finding(
        "info",
        "left-out",
        `dev: no examples; of fewer than ${smallData} none are held back: rows that three short runs leave out in turns choose what a dev set would.`,
        { advice: "Give a dev file, or a data.devShare above 0, to choose on a dev set." },
      ),
    );
  } else if (dev.length === 0) {
    findings.push(
      finding("warning", "no-dev", "dev: no examples; the last state is kept, not the best.", {
        advice: "Give a dev file, or a data.devShare above 0.",
      }),
    );
  } else if (dev.length < fewDevExamples) {
    const points = (100 / dev.length).toFixed(1);
    findings.push(
      finding(
        "info",
        "small-dev",
        `dev: ${countOf(dev.length, "example")}: a single one moves accuracy by ${points} points.`,
      ),
    );
  }
  if (test.length === 0) {
    findings.push(
      finding(
        "info",
        "no-test",
        "test: no examples; dev scores are a little too good, as dev chose the state.",
      ),
    );
  }
  return findings;
}
