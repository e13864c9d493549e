import { exampleKinds } from "ptuning/data";
import { describe, expect, test } from "vitest";

const { text, choices, tokens, roles, answers } = exampleKinds;

describe("text", () => {
  test("labels, answers and problems of classes, sets of labels and scores", () => {
    const pair = { text: "It rains.", pair: "It is wet.", label: "yes" };
    expect(text.texts(pair).map((part) => part.name)).toEqual(["text", "pair"]);
    expect(text.labels(pair)).toEqual(["yes"]);
    expect(text.answer({ text: "x", labels: ["b", "a"] })).toBe(
      text.answer({ text: "x", labels: ["a", "b"] }),
    );
    expect(text.answer({ text: "x", labels: [] })).toBe("[]");
    expect(text.answer({ text: "x", score: 2.5 })).toBe("2.5");
    expect(text.answer({ text: "x" })).toBeUndefined();
    expect(text.problems({ text: "x", pair: " " })).toEqual([]);
    expect(text.problems({ text: "", pair: " " })).toEqual(["an empty text"]);
    expect(text.oddities!({ text: "x", labels: ["a", "a"] })).toEqual(["the same label more than once"]);
    expect(text.problems(pair)).toEqual([]);
  });
});

describe("choices", () => {
  test("the answer is the choice itself, wherever it stands", () => {
    const one = { text: "Why?", choices: ["sun", "rain"], label: 1 };
    const other = { text: "Why?", choices: ["rain", "sun"], label: 0 };
    expect(choices.answer(one)).toBe(choices.answer(other));
    expect(choices.labels(one)).toEqual(["choice 2"]);
    expect(choices.problems(one)).toEqual([]);
  });

  test.each([
    [{ text: "x", choices: ["a"], label: 0 }, "fewer than two choices"],
    [{ text: "x", choices: ["a", "a"], label: 0 }, "equal choices"],
    [{ text: "x", choices: ["a", ""], label: 0 }, "an empty choice"],
    [{ text: "x", choices: ["a", "b"], label: 2 }, "a gold choice that is not among them"],
  ])("%j", (example, problem) => {
    expect(choices.problems(example)).toEqual([problem]);
  });
});

describe("tokens and roles", () => {
  test("labels are the types behind the tags of any scheme, each once", () => {
    const tags = ["B-PER", "I-PER", "O", "U-LOC", "S-ORG", "E-MISC", "L-MISC", "X"];
    expect(tokens.labels({ words: [], tags })).toEqual(["PER", "LOC", "ORG", "MISC", "X"]);
    expect(roles.labels({ words: [], predicate: 0, tags: ["B-A0", "B-V", "B-AM-TMP"] })).toEqual([
      "A0",
      "AM-TMP",
    ]);
  });

  test.each([
    [{ words: ["a", "b"], tags: ["O"] }, "more or fewer tags than words"],
    [{ words: ["a", " "], tags: ["O", "O"] }, "an empty word"],
    [{ words: ["b"], text: "a b", offsets: [[0, 1]] as const }, "a word whose offsets do not hold it"],
  ])("%j", (example, problem) => {
    expect(tokens.problems(example)).toEqual([problem]);
  });

  test("sound ones have no problems; two predicates of one sentence are no duplicates", () => {
    expect(tokens.problems({ words: ["b"], text: "a b", offsets: [[2, 3]], tags: ["O"] })).toEqual([]);
    const example = { words: ["he", "ran", "ran"], tags: ["B-A0", "B-V", "O"] };
    expect(roles.problems({ ...example, predicate: 1 })).toEqual([]);
    expect(roles.problems({ ...example, predicate: 3 })).toEqual(["a predicate outside the sentence"]);
    expect(roles.texts({ ...example, predicate: 1 })).not.toEqual(roles.texts({ ...example, predicate: 2 }));
  });
});

describe("answers", () => {
  const asked = (found: readonly { readonly text: string; readonly start: number }[]) => ({
    id: "1",
    question: "Where?",
    context: "In Rome. Here.",
    answers: found,
  });

  test("answerable or not", () => {
    expect(answers.labels(asked([]))).toEqual(["unanswerable"]);
    expect(answers.labels(asked([{ text: "Rome", start: 3 }]))).toEqual(["answerable"]);
    const { answers: _, ...open } = asked([]);
    expect([answers.labels(open), answers.answer(open)]).toEqual([[], undefined]);
  });

  test.each([
    [{ text: "Rome", start: 3 }, []],
    [{ text: "Rome", start: 4 }, ["a span whose offsets do not hold its text"]],
    [{ text: "", start: 3 }, ["an empty span"]],
    [{ text: "Rome. ", start: 3 }, []],
  ])("%j", (answer, problems) => {
    expect(answers.problems(asked([answer]))).toEqual(problems);
    const odd = answer.text === "Rome. " ? ["a span that begins or ends with white space"] : [];
    expect(answers.oddities!(asked([answer]))).toEqual(odd);
  });
});
