import type { ExampleKind, ExampleKinds } from "./example.ts";

/** What reading and splitting need to know of a kind of example. */
interface KindAnswers<E> {
  /** Examples with the same key are duplicates. */
  key(example: E): string;
  /** Examples that share one of these stay on one side of a split. */
  ties(example: E): readonly string[];
  /** A split takes the same share of every stratum. */
  stratum(example: E): string;
  /** What there is to predict, if it is one of a list. */
  labels(example: E): Iterable<string>;
}

const normal = (text: string): string => text.toLowerCase().replace(/\s+/g, " ").trim();
const join = (...parts: readonly string[]): string => parts.map(normal).join("\u0000");
const present = (...parts: readonly (string | undefined)[]): string[] =>
  parts.filter((part) => part !== undefined);

/** The answers of every kind. */
export const kinds: { readonly [K in ExampleKind]: KindAnswers<ExampleKinds[K]> } = {
  text: {
    key: ({ text, pair }) => (pair === undefined ? normal(text) : join(text, pair)),
    ties: ({ group, document }) => present(group, document && `document ${document}`),
    stratum: ({ label, labels }) => label ?? labels?.toSorted().join("\u0000") ?? "",
    labels: ({ label, labels }) => labels ?? present(label),
  },
  choices: {
    key: ({ text, choices }) => join(text, ...choices.toSorted()),
    ties: () => [],
    stratum: ({ label }) => String(label ?? ""),
    labels: () => [],
  },
  tokens: {
    key: ({ words }) => words.map((word) => word.toLowerCase()).join("\u0000"),
    ties: () => [],
    stratum: ({ tags }) => tags?.find((tag) => tag !== "O")?.replace(/^[A-Z]-/, "") ?? "",
    labels: ({ tags }) => tags ?? [],
  },
  roles: {
    key: ({ words, predicate }) => `${predicate}\u0000${words.join("\u0000").toLowerCase()}`,
    ties: ({ words, group }) => present(group, words.join("\u0000").toLowerCase()),
    stratum: () => "",
    labels: ({ tags }) => tags ?? [],
  },
  answers: {
    key: ({ context, question }) => join(question, context),
    ties: ({ group, context }) => present(group && `group ${group}`, `context ${normal(context)}`),
    stratum: () => "",
    labels: () => [],
  },
};

/** Texts that differ only in case and white space count as one; so for every kind of example. */
export function exampleKey<K extends ExampleKind>(kind: K, example: ExampleKinds[K]): string {
  return kinds[kind].key(example);
}
