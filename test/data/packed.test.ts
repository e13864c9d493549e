/** Examples of every kind come out of packed memory as they went in. */
import fc from "fast-check";
import {
  type AnswerExample,
  type ChoiceExample,
  type ExampleKind,
  type ExampleKinds,
  PackedExamples,
  type RoleExample,
  type TextExample,
  type TokenExample,
} from "ptuning/data";
import { describe, expect, test } from "vitest";

const oddTexts = [
  "",
  "\0",
  "\ud800",
  "a\udc00b",
  "\ud83d\ude00 and half of it \ud83d",
  "ÿ",
  "Ā",
  "“quoted” — text",
  "\ufeffmarked",
  "日本語のテキスト",
  "é".repeat(31),
  "x".repeat(30),
  "x".repeat(31),
  "x".repeat(64),
  "x".repeat(65),
  "long ".repeat(40_000),
  "длинный ".repeat(20_000),
  "half \ud800 ".repeat(20_000),
] as const;

const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  // Any units: also halves of pairs.
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
    .map((units) => String.fromCharCode(...units)),
  fc.constantFrom(...oddTexts.filter(({ length }) => length < 100)),
  fc.constantFrom("yes", "no"),
);
const texts = fc.array(text, { maxLength: 5 });
const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, 30, 31, 32, -1, 158, 159, 2 ** 48, -(2 ** 48), 2 ** 53, 0.5),
);
const line = fc.oneof(fc.nat(), fc.constantFrom(0, 1, 2 ** 31, 2 ** 40));

/** Fields that are absent, that are there but undefined, and that are there. */
const kinds: { readonly [K in ExampleKind]: fc.Arbitrary<ExampleKinds[K]> } = {
  text: fc.record(
    {
      text,
      pair: fc.option(text, { nil: undefined }),
      label: text,
      labels: texts,
      score: number,
      group: text,
      document: text,
      candidate: text,
      answers: texts,
      line,
    },
    { requiredKeys: ["text"], noNullPrototype: true },
  ) as fc.Arbitrary<TextExample>,
  choices: fc.record(
    { text, choices: texts, label: fc.option(fc.nat(), { nil: undefined }), line },
    { requiredKeys: ["text", "choices"], noNullPrototype: true },
  ) as fc.Arbitrary<ChoiceExample>,
  tokens: fc.record(
    {
      words: texts,
      tags: texts,
      text,
      offsets: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 5 }),
      line,
    },
    { requiredKeys: ["words"], noNullPrototype: true },
  ) as fc.Arbitrary<TokenExample>,
  roles: fc.record(
    { words: texts, predicate: fc.nat(), sense: text, tags: texts, group: text, line },
    { requiredKeys: ["words", "predicate"], noNullPrototype: true },
  ) as fc.Arbitrary<RoleExample>,
  answers: fc.record(
    {
      id: text,
      question: text,
      context: text,
      answers: fc.array(fc.record({ text, start: fc.nat() }, { noNullPrototype: true }), { maxLength: 3 }),
      group: text,
      line,
    },
    { requiredKeys: ["id", "question", "context"], noNullPrototype: true },
  ) as fc.Arbitrary<AnswerExample>,
};

function pack<E extends { readonly line?: number }>(examples: readonly E[]): readonly E[] {
  const packed = new PackedExamples<E>();
  for (const example of examples) packed.push(example);
  return packed.finish();
}

describe("packed examples", () => {
  test.each(Object.keys(kinds) as ExampleKind[])("come back exactly: %s", (kind) => {
    fc.assert(
      fc.property(fc.array(kinds[kind] as fc.Arbitrary<TextExample>, { maxLength: 30 }), (examples) => {
        const packed = pack(examples);
        expect([...packed]).toStrictEqual(examples);
        expect(examples.map((_, i) => packed[i])).toStrictEqual(examples);
        // In this order, too, as what is written of them is.
        expect(packed.map((example) => Object.keys(example))).toEqual(
          examples.map((example) => Object.keys(example)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("over many pages, in any order, with texts longer than a page", () => {
    const examples = Array.from({ length: 30_000 }, (_, i): TextExample => {
      const own = i % 997 === 0 ? oddTexts[(i / 997) % oddTexts.length]! : `text ${i}`;
      // Lines that stand still, jump and go back.
      return { text: own, label: `label ${i % 7}`, line: i % 5 === 0 ? 3 : 2 * i };
    });
    const packed = pack(examples);
    expect(packed.length).toBe(examples.length);
    expect([...packed]).toEqual(examples);
    for (let i = 0; i < examples.length; i += 1) {
      const place = (i * 7919) % examples.length;
      if (packed[place]?.text !== examples[place]!.text) expect.unreachable(`example ${place} is another`);
    }
  });

  test("texts that come again are held once, as long as that saves something", () => {
    const sizes = (make: (i: number) => string, count: number): number => {
      const packed = new PackedExamples<TextExample>();
      let bytes = 0;
      for (let i = 0; i < count; i++) bytes += packed.push({ text: "x", label: make(i) });
      const examples = packed.finish();
      for (let i = 0; i < count; i += 101) expect(examples[i]!.label).toBe(make(i));
      return bytes / count;
    };
    expect(sizes((i) => `a label of some length ${i % 25}`, 5000)).toBeLessThan(8);
    // All different, and then some that come again: too late for them.
    expect(sizes((i) => `label ${i}`, 5000)).toBeLessThan(20);
    expect(sizes((i) => `label ${i < 3000 ? i : i % 9}`, 9000)).toBeLessThan(20);
    // More than are kept.
    expect(sizes((i) => `label ${Math.floor(i / 2)}`, 120_000)).toBeLessThan(20);
  });

  test("what is no plain value is refused", () => {
    const packed = new PackedExamples<{ line?: number; other: unknown }>();
    expect(() => packed.push({ other: () => 1 })).toThrow(/expected a plain value, got a function/);
    expect(() => packed.push({ other: 1n })).toThrow(/a bigint/);
  });
});
