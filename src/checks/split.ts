import {
  type Dataset,
  type ExampleKind,
  type ExampleKinds,
  exampleKey,
  exampleKinds,
  type KindDescription,
} from "../data/index.ts";
import type { Place, SplitName } from "./finding.ts";

/** One example with what its kind says about it. */
interface Checked {
  readonly labels: readonly string[];
  readonly problems: readonly string[];
  readonly oddities: readonly string[];
  readonly answer: string | undefined;
}

/** The examples of one part of a data set: each is asked when it is looked at, so that millions take no memory. */
export interface CheckedSplit {
  readonly name: SplitName;
  /** Number of examples. */
  readonly count: number;
  place(row: number): Place;
  /** Equal for examples that a model is given alike, but for case and white space. */
  key(row: number): string;
  answer(row: number): string | undefined;
  look(row: number): Checked;
}

/** Asks the kind about every example; parts without examples are left out. */
export function checkedSplits<E>(data: Dataset<E>, kind: ExampleKind): CheckedSplit[] {
  const names: readonly SplitName[] = ["train", "dev", "test"];
  const { answer, labels, problems, oddities } = exampleKinds[kind] as KindDescription<E>;
  return names
    .filter((name) => data[name].length > 0)
    .map((name) => {
      const examples = data[name];
      return {
        name,
        count: examples.length,
        place(row) {
          const { line } = examples.at(row) as { readonly line?: number };
          return { split: name, ...(line !== undefined && { line }) };
        },
        key: (row) => exampleKey(kind, examples.at(row) as ExampleKinds[ExampleKind]),
        answer: (row) => answer(examples.at(row)!),
        look(row) {
          const example = examples.at(row)!;
          return {
            labels: labels(example),
            problems: problems(example),
            oddities: oddities?.(example) ?? [],
            answer: answer(example),
          };
        },
      };
    });
}
