/** For every task family examples that a tiny backbone learns: what is right can be told from single words. */

import type { ChoiceExample, RoleExample, TextExample, TokenExample } from "ptuning/data";
import { Rng } from "ptuning/internal/core";

/** Examples of one family. */
export interface FamilyCase<E = object> {
  readonly type: string;
  /** Settings of the task, as a configuration has them. */
  readonly settings: Readonly<Record<string, unknown>>;
  make(count: number, seed: number): E[];
  /** A score of the task, and what a short run must reach. */
  readonly reaches: readonly [score: string, least: number];
}

const words = (rng: Rng, count: number): string[] =>
  Array.from({ length: count }, () => `w${10 + rng.integer(20)}`);
const shuffled = (rng: Rng, ...parts: string[]): string => rng.shuffle(parts).join(" ");

function examples<E>(make: (rng: Rng, i: number) => E): (count: number, seed: number) => E[] {
  return (count, seed) => Array.from({ length: count }, (_, i) => make(new Rng(seed, i), i));
}

/** Candidates of questions, three to a question, of which `right` says how many may be right. */
function candidates(make: (rng: Rng, question: number) => TextExample[]): FamilyCase<TextExample>["make"] {
  return (count, seed) =>
    Array.from({ length: Math.ceil(count / 3) }, (_, i) => make(new Rng(seed, i), i)).flat();
}

const scope: FamilyCase<TextExample> = {
  type: "text-classification",
  settings: { outOfScope: "oos" },
  make: examples((rng) => {
    const label = rng.integer(3);
    return { text: shuffled(rng, `w${label}`, ...words(rng, 3)), label: ["alpha", "beta", "oos"][label]! };
  }),
  reaches: ["inScopeAccuracy", 0.7],
};

const multiLabel: FamilyCase<TextExample> = {
  type: "multi-label",
  settings: {},
  make: examples((rng) => {
    const labels = ["a", "b", "c"].filter(() => rng.uniform() < 0.4);
    const own = labels.map((label) => `w${"abc".indexOf(label)}`);
    return { text: shuffled(rng, ...own, ...words(rng, 2)), labels };
  }),
  reaches: ["microF1", 0.75],
};

const regression: FamilyCase<TextExample> = {
  type: "regression",
  settings: {},
  make: examples((rng) => {
    const score = rng.integer(5);
    return { text: shuffled(rng, `w${score}`, `w${score}`, ...words(rng, 2)), score: 50 + 12.5 * score };
  }),
  reaches: ["pearson", 0.7],
};

const choice: FamilyCase<ChoiceExample> = {
  type: "multiple-choice",
  settings: {},
  make: examples((rng) => {
    const count = 2 + rng.integer(3);
    const label = rng.integer(count);
    const choices = Array.from({ length: count }, (_, i) =>
      shuffled(rng, i === label ? "w1" : "w2", ...words(rng, 1 + rng.integer(2))),
    );
    return { text: words(rng, 2).join(" "), choices, label };
  }),
  reaches: ["accuracy", 0.75],
};

const selection: FamilyCase<TextExample> = {
  type: "answer-selection",
  settings: {},
  make: candidates((rng, question) =>
    Array.from({ length: 3 }, () => {
      const isRight = rng.uniform() < 0.5;
      const candidate = shuffled(rng, isRight ? "w1" : "w2", ...words(rng, 1));
      const text = words(rng, 2).join(" ");
      return { text, pair: candidate, candidate, group: `${question}`, label: String(isRight) };
    }),
  ),
  reaches: ["f1a", 0.75],
};

const ranking: FamilyCase<TextExample> = {
  type: "candidate-ranking",
  settings: {},
  make: candidates((rng, question) => {
    const right = rng.integer(3);
    const names = Array.from({ length: 3 }, (_, i) =>
      shuffled(rng, i === right ? "w1" : "w2", ...words(rng, 1)),
    );
    return names.map((candidate, i) => ({
      ...{ text: words(rng, 2).join(" "), pair: candidate, candidate, group: `${question}` },
      ...{ answers: [names[right]!], label: String(i === right) },
    }));
  }),
  reaches: ["f1", 0.75],
};

const tokens: FamilyCase<TokenExample> = {
  type: "token-classification",
  settings: {},
  make: examples((rng) => {
    const sentence = words(rng, 3);
    const type = rng.integer(2);
    const at = rng.integer(4);
    sentence.splice(at, 0, `w${type}`);
    return { words: sentence, tags: sentence.map((_, i) => (i === at ? ["B-X", "B-Y"][type]! : "O")) };
  }),
  reaches: ["f1", 0.7],
};

const roles: FamilyCase<RoleExample> = {
  type: "semantic-roles",
  settings: { transitions: "counted" },
  make: examples((rng) => {
    const sentence = [`w${1 + rng.integer(2)}`, "w5", `w${1 + rng.integer(2)}`];
    const tags = sentence.map((word) => (word === "w5" ? "B-V" : word === "w1" ? "B-ARG0" : "B-ARG1"));
    return { words: [...sentence, ...words(rng, 1)], predicate: 1, tags: [...tags, "O"] };
  }),
  reaches: ["f1WithoutV", 0.7],
};

/** All families whose examples are texts or alternatives. */
export const textFamilies: readonly FamilyCase[] = [
  scope,
  multiLabel,
  regression,
  choice,
  selection,
  ranking,
];

/** Those whose examples are sentences in words. */
export const wordFamilies: readonly FamilyCase[] = [tokens, roles];
