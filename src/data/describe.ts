/**
 * What each kind of examples says about itself, so that data checks and reports need not know which one they have.
 */
import type { ExampleKind, ExampleKinds, RoleExample, TokenExample } from "./example.ts";

/** One text of an example, as a person reads it. */
export interface ExampleText {
  /** What it is in the example: `text`, `pair`, `choice 1`, `question`. */
  readonly name: string;
  readonly text: string;
}

/** What a kind of examples says about one of them. */
export interface KindDescription<E> {
  /** Everything that a model is given, in reading order. */
  texts(example: E): readonly ExampleText[];
  /** The labels in its gold answer, each once: classes, entity types, roles; none where it has no answer. */
  labels(example: E): readonly string[];
  /** The gold answer in one string; equal texts with different answers contradict each other. */
  answer(example: E): string | undefined;
  /** What is wrong with how it is marked: one constant sentence part per sort of mistake, such as `an empty span`. */
  problems(example: E): readonly string[];
  /** Likewise what is odd and does no harm. */
  oddities?(example: E): readonly string[];
}

/** The answers of every kind. */
export const exampleKinds: { readonly [K in ExampleKind]: KindDescription<ExampleKinds[K]> } = {
  text: {
    texts: ({ text, pair }) => [
      { name: "text", text },
      ...(pair === undefined ? [] : [{ name: "pair", text: pair }]),
    ],
    labels: ({ label, labels = [] }) => distinct(label === undefined ? labels : [label, ...labels]),
    answer: ({ label, labels, score }) =>
      label ?? (labels && JSON.stringify([...labels].sort())) ?? (score === undefined ? score : `${score}`),
    // A pair with one text has still something to say.
    problems: ({ text, pair = "" }) => (`${text}${pair}`.trim() === "" ? ["an empty text"] : []),
    oddities: ({ labels = [] }) =>
      distinct(labels).length < labels.length ? ["the same label more than once"] : [],
  },
  choices: {
    texts: ({ text, choices }) => [
      { name: "text", text },
      ...choices.map((choice, i) => ({ name: `choice ${i + 1}`, text: choice })),
    ],
    labels: ({ label }) => (label === undefined ? [] : [`choice ${label + 1}`]),
    // The right one itself: the same question may stand twice with its choices in another order.
    answer: ({ choices, label }) => (label === undefined ? undefined : (choices[label] ?? `${label}`)),
    problems: ({ choices, label }) => [
      ...(choices.length < 2 ? ["fewer than two choices"] : []),
      ...(distinct(choices).length < choices.length ? ["equal choices"] : []),
      ...(choices.some((choice) => choice.trim() === "") ? ["an empty choice"] : []),
      ...(label !== undefined && choices[label] === undefined
        ? ["a gold choice that is not among them"]
        : []),
    ],
  },
  tokens: {
    texts: ({ words }) => [{ name: "words", text: words.join(" ") }],
    labels: ({ tags = [] }) => tagLabels(tags),
    answer: ({ tags }) => tags?.join(" "),
    problems: (example) => [...wordProblems(example), ...offsetProblems(example)],
  },
  roles: {
    texts: ({ words, predicate }) => [
      { name: "words", text: words.join(" ") },
      { name: "predicate", text: `${words[predicate] ?? "?"} (word ${predicate + 1})` },
    ],
    labels: ({ tags = [] }) => tagLabels(tags).filter((label) => label !== "V"),
    answer: ({ tags }) => tags?.join(" "),
    problems: (example) => [
      ...wordProblems(example),
      ...(example.words[example.predicate] === undefined ? ["a predicate outside the sentence"] : []),
    ],
  },
  answers: {
    texts: ({ question, context }) => [
      { name: "question", text: question },
      { name: "context", text: context },
    ],
    labels: ({ answers }) => {
      if (answers === undefined) return [];
      return [answers.length === 0 ? "unanswerable" : "answerable"];
    },
    answer: ({ answers }) => answers && JSON.stringify(answers.map(({ text }) => text).sort()),
    problems: ({ question, context, answers = [] }) =>
      distinct([
        ...(question.trim() === "" ? ["an empty question"] : []),
        ...answers.flatMap(({ text, start }) => spanProblems(context, text, start)),
      ]),
    oddities: ({ answers = [] }) =>
      answers.some(({ text }) => text !== text.trim() && text.trim() !== "")
        ? ["a span that begins or ends with white space"]
        : [],
  },
};

function spanProblems(context: string, text: string, start: number): string[] {
  if (text.trim() === "") return ["an empty span"];
  if (context.slice(start, start + text.length) !== text)
    return ["a span whose offsets do not hold its text"];
  return [];
}

function wordProblems({ words, tags }: TokenExample | RoleExample): string[] {
  return [
    ...(words.some((word) => word.trim() === "") ? ["an empty word"] : []),
    ...(tags !== undefined && tags.length !== words.length ? ["more or fewer tags than words"] : []),
  ];
}

function offsetProblems({ words, text, offsets }: TokenExample): string[] {
  if (text === undefined || offsets === undefined) return [];
  const isMisaligned = offsets.some(([start, end], i) => text.slice(start, end) !== words[i]);
  return isMisaligned ? ["a word whose offsets do not hold it"] : [];
}

/** `B-PER` → `PER` in any of the schemes; tags without a prefix are labels themselves. */
function tagLabels(tags: readonly string[]): string[] {
  return distinct(tags.filter((tag) => tag !== "O").map((tag) => tag.replace(/^[BIESLU]-/, "")));
}

function distinct<T>(values: readonly T[]): T[] {
  return values.length < 2 ? [...values] : [...new Set(values)];
}
