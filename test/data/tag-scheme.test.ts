import fc from "fast-check";
import {
  decodeTags,
  detectTagScheme,
  encodeSpans,
  type TagScheme,
  type TypedSpan,
  tagRules,
} from "ptuning/data";
import { PtuningError } from "ptuning/internal/core";
import { describe, expect, test } from "vitest";

const schemes: readonly TagScheme[] = ["IOB1", "IOB2", "IOBES", "BILOU"];
const type = fc.constantFrom("PER", "LOC", "C-A1", "_", "é 1", "😀");

/** Spans with gaps of 0 … 2 words between them, and the length of the sentence. */
const sentence: fc.Arbitrary<{ spans: TypedSpan[]; length: number }> = fc
  .tuple(fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 4 }), type), { maxLength: 6 }), fc.nat(2))
  .map(([parts, rest]) => {
    let at = 0;
    const spans = parts.map(([gap, words, type]) => {
      const start = at + gap;
      at = start + words;
      return { type, start, end: at };
    });
    return { spans, length: at + rest };
  });

describe.each(schemes)("%s", (scheme) => {
  test("tags of spans give the spans back", () => {
    fc.assert(
      fc.property(sentence, ({ spans, length }) => {
        const tags = encodeSpans(spans.toReversed(), length, scheme);
        expect(tags).toHaveLength(length);
        expect(decodeTags(tags)).toEqual(spans);
      }),
    );
  });

  test("is recognised as soon as there is a span", () => {
    fc.assert(
      fc.property(fc.array(sentence), (sentences) => {
        const tags = sentences.map(({ spans, length }) => encodeSpans(spans, length, scheme));
        const hasSpans = sentences.some(({ spans }) => spans.length > 0);
        expect(detectTagScheme(tags)).toBe(hasSpans ? scheme : "IOB2");
      }),
    );
  });
});

/** All sequences of `length` tags. */
const sequencesOf = (tags: readonly string[], length: number): string[][] =>
  length === 0 ? [[]] : sequencesOf(tags, length - 1).flatMap((all) => tags.map((tag) => [...all, tag]));

describe("rules", () => {
  const isAllowed = (sequence: readonly string[], tags: readonly string[], scheme: TagScheme): boolean => {
    const { opening, closing, within } = tagRules(tags, scheme);
    const numbers = sequence.map((tag) => tags.indexOf(tag));
    return (
      opening.includes(numbers[0]!) &&
      closing.includes(numbers.at(-1)!) &&
      numbers.slice(1).every((tag, i) => {
        const before = numbers[i]!;
        return (closing.includes(before) && opening.includes(tag)) || within[before]!.includes(tag);
      })
    );
  };

  test.each<[TagScheme, string]>([
    ["IOB1", "BI"],
    ["IOB2", "BI"],
    ["IOBES", "BIES"],
    ["BILOU", "BILU"],
  ])("%s allows exactly the sequences that spell spans", (scheme, prefixes) => {
    const tags = ["O", ...["A", "B"].flatMap((type) => [...prefixes].map((prefix) => `${prefix}-${type}`))];
    for (const length of [1, 2, 3, 4]) {
      for (const sequence of sequencesOf(tags, length)) {
        const again = encodeSpans(decodeTags(sequence), length, scheme);
        expect(isAllowed(sequence, tags, scheme), sequence.join()).toBe(`${again}` === `${sequence}`);
      }
    }
  });

  test("tags whose span nothing opens or closes do it themselves", () => {
    expect(tagRules(["I-A", "O", "B-B"], "IOB2")).toEqual({
      opening: [0, 1, 2],
      closing: [0, 1, 2],
      within: [[0], [], []],
    });
    expect(tagRules(["O", "B-A", "I-A"], "BILOU")).toEqual({
      opening: [0, 1],
      closing: [0, 1, 2],
      within: [[], [2], [2]],
    });
    expect(tagRules([], "IOB2")).toEqual({ opening: [], closing: [], within: [] });
    expect(() => tagRules(["O", "NOUN"], "IOB2")).toThrow(/tags: expected O or a prefix/);
  });
});

test("every sequence of tags has a reading: each word that is not O is in exactly one span", () => {
  const tag = fc.oneof(
    fc.constant("O"),
    fc.tuple(fc.constantFrom(..."BIESLU"), type).map((parts) => parts.join("-")),
  );
  fc.assert(
    fc.property(fc.array(tag), (tags) => {
      const covered = decodeTags(tags).flatMap(({ start, end, type }) => {
        return Array.from({ length: end - start }, (_, i) => [start + i, type]);
      });
      const expected = [...tags.entries()]
        .filter(([, tag]) => tag !== "O")
        .map(([i, tag]) => [i, tag.slice(2)]);
      expect(covered).toEqual(expected);
    }),
  );
});

test("spans spelled in each scheme", () => {
  const spans = [
    { type: "A", start: 0, end: 1 },
    { type: "A", start: 1, end: 4 },
    { type: "B", start: 4, end: 6 },
  ];
  expect(encodeSpans(spans, 7, "IOB1")).toEqual(["I-A", "B-A", "I-A", "I-A", "I-B", "I-B", "O"]);
  expect(encodeSpans(spans, 7, "IOB2")).toEqual(["B-A", "B-A", "I-A", "I-A", "B-B", "I-B", "O"]);
  expect(encodeSpans(spans, 7, "IOBES")).toEqual(["S-A", "B-A", "I-A", "E-A", "B-B", "E-B", "O"]);
  expect(encodeSpans(spans, 7, "BILOU")).toEqual(["U-A", "B-A", "I-A", "L-A", "B-B", "L-B", "O"]);
});

test("a few stray tags do not change the scheme", () => {
  const tidy = Array.from({ length: 9 }, () => ["B-A", "I-A", "O"]);
  expect(detectTagScheme([...tidy, ["I-A", "O"], ["O", "I-B"]])).toBe("IOB2");
  expect(detectTagScheme([["I-A", "B-A", "O"], ["I-A", "O", "I-A"], ["B-A"]])).toBe("IOB1");
  expect(detectTagScheme([["B-A", "I-A"], ["S-B"]])).toBe("IOBES");
});

test.each([[["NOUN", "VERB"]], [["O", "o"]], [["BIG"]], [[""]], [["B-A", "E-A", "U-A"]]])(
  "%j spells no spans",
  (tags) => expect(detectTagScheme([tags])).toBeUndefined(),
);

test("tags and spans that make no sense are refused", () => {
  expect(() => decodeTags(["O", "X-PER"])).toThrow(PtuningError);
  expect(() => decodeTags(["O", "X-PER"])).toThrow(/tags: expected O or a prefix .*, got "X-PER"/);
  for (const span of [
    { type: "A", start: 1, end: 1 },
    { type: "A", start: -1, end: 1 },
    { type: "A", start: 2, end: 4 },
    { type: "", start: 0, end: 1 },
    { type: "A", start: Number.NaN, end: 1 },
  ]) {
    expect(() => encodeSpans([span], 3, "IOB2"), JSON.stringify(span)).toThrow(
      /spans: expected a type and words/,
    );
  }
  const overlapping = [
    { type: "A", start: 0, end: 2 },
    { type: "B", start: 1, end: 3 },
  ];
  expect(() => encodeSpans(overlapping, 3, "BILOU")).toThrow(/within 2 … 3/);
});
