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
export interface Checked {
  readonly place: Place;
  /** Equal for examples that a model is given alike, but for case and white space. */
  readonly key: string;
  readonly answer: string | undefined;
  readonly labels: readonly string[];
  readonly problems: readonly string[];
  readonly oddities: readonly string[];
}

/** The examples of one part of a data set. */
export interface CheckedSplit {
  readonly name: SplitName;
  readonly examples: readonly Checked[];
}

/** Asks the kind about every example; parts without examples are left out. */
export function checkedSplits<E>(data: Dataset<E>, kind: ExampleKind): CheckedSplit[] {
  const names: readonly SplitName[] = ["train", "dev", "test"];
  return names
    .filter((name) => data[name].length > 0)
    .map((name) => ({ name, examples: data[name].map((example) => checked(name, example, kind)) }));
}

function checked<E>(split: SplitName, example: E, kind: ExampleKind): Checked {
  const { line } = example as { readonly line?: number };
  const { answer, labels, problems, oddities } = exampleKinds[kind] as KindDescription<E>;
  return {
    place: { split, ...(line !== undefined && { line }) },
    key: exampleKey(kind, example as ExampleKinds[ExampleKind]),
    answer: answer(example),
    labels: labels(example),
    problems: problems(example),
    oddities: oddities?.(example) ?? [],
  };
}
