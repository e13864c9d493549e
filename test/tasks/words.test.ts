import fc from "fast-check";
import { decodeTags, encodeSpans, type RoleExample, type TagScheme, type TokenExample } from "ptuning/data";
import { tokenCount, tokenWindows, windowWithMostContext } from "ptuning/internal/text";
import {
  type EncodedWords,
  familyOf,
  semanticRoles,
  spanLabels,
  type Task,
  type TokenPrediction,
  tokenClassification,
} from "ptuning/tasks";
import { describe, expect, test } from "vitest";
import { characterTokenizer, numberedWords } from "../support/pieces.ts";

const labels = spanLabels([{ words: ["x", "x"], tags: ["B-A", "B-B"] }]);
const schemes: TagScheme[] = ["IOB1", "IOB2", "IOBES", "BILOU"];

/** A sentence with words of any number of tokens, also none, and non-overlapping spans. */
const sentence = fc
  .array(
    fc.record({
      length: fc.integer({ min: 0, max: 6 }),
      tag: fc.constantFrom("O", "B-A", "I-A", "B-B", "I-B"),
    }),
    { maxLength: 40 },
  )
  .map((drawn) => ({
    words: numberedWords(drawn.map(({ length }) => length)),
    tags: encodeSpans(decodeTags(drawn.map(({ tag }) => tag)), drawn.length, "IOB2"),
  }));

interface Place {
  readonly word: number;
  readonly sequence: number;
  readonly position: number;
}

function placesOf({ sequences, answerStarts, answered, positions }: EncodedWords): Place[] {
  return Array.from({ length: sequences.count }, (_, sequence) =>
    Array.from({ length: answerStarts[sequence + 1]! - answerStarts[sequence]! }, (_, i) => {
      const at = answerStarts[sequence]! + i;
      return { word: answered[at]!, sequence, position: positions[at]! };
    }),
  ).flat();
}

/** Hands `decoder` or `evaluator` logits that say the gold tag of every word that some window answers for. */
function oracle<E, P>(task: Task<E, EncodedWords, P>, encoded: EncodedWords, rowsPerPass: number) {
  const [evaluator, decoder] = [task.evaluator(encoded), task.decoder(encoded)];
  const all = Array.from({ length: encoded.sequences.count }, (_, row) => row).reverse();
  for (let start = 0; start < all.length; start += rowsPerPass) {
    const rows = Int32Array.from(all.slice(start, start + rowsPerPass));
    const length = Math.max(...rows.map((row) => tokenCount(encoded.sequences, row)));
    const { targets } = task.targets(encoded, { rows, length });
    // Wrong everywhere but on the gold tag of answered words.
    const logits = Float64Array.from(targets!.data as Float32Array, (share) => (share > 0 ? 30 : 0));
    evaluator.add({ rows, length, logits });
    decoder.add({ rows, length, logits });
  }
  return { evaluation: evaluator.result(), predictions: decoder.finish() };
}

describe("windows", () => {
  test("cover everything, overlap as asked, and never exceed their size", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 1, max: 30 }), fc.nat(40), (count, size, stride) => {
        const windows = tokenWindows(count, size, stride);
        expect(windows[0]!.start).toBe(0);
        expect(windows.at(-1)!.end).toBe(count);
        for (const [i, { start, end }] of windows.entries()) {
          expect(end - start).toBeLessThanOrEqual(size);
          if (i === 0) continue;
          expect(windows[i - 1]!.end - start).toBe(Math.min(stride, Math.floor(size / 2)));
        }
        const context = (at: number, { start, end }: (typeof windows)[0]): number =>
          Math.min(at - start, end - 1 - at);
        const chosen = Array.from({ length: count }, (_, at) =>
          context(at, windows[windowWithMostContext(windows, at)]!),
        );
        const most = chosen.map((_, at) => Math.max(...windows.map((window) => context(at, window))));
        expect(chosen).toEqual(most);
        expect(Math.min(0, ...chosen)).toBe(0);
      }),
    );
  });
});

describe("token classification", () => {
  test("reads every word that has tokens exactly once, at its first token, where it has most context", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(sentence, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 3, max: 24 }),
        fc.nat(8),
        async (examples, maxLength, stride) => {
          const task = tokenClassification({ labels, stride });
          const encoded = await task.encode(examples, characterTokenizer(), maxLength);
          const { sequences, wordStarts } = encoded;
          const places = placesOf(encoded);
          const all = examples.flatMap(({ words }) => words);
          expect(wordStarts.at(-1)).toBe(all.length);
          expect(places.map(({ word }) => word).sort((a, b) => a - b)).toEqual(
            [...all.keys()].filter((word) => all[word] !== ""),
          );
          for (const { word, sequence, position } of places) {
            expect(sequences.ids[sequences.starts[sequence]! + position]).toBe(all[word]!.charCodeAt(0));
            expect(tokenCount(sequences, sequence)).toBeLessThanOrEqual(maxLength);
          }
          // One-hot targets at row position·B + b, nothing elsewhere.
          const rows = Int32Array.from({ length: sequences.count }, (_, row) => row);
          const length = Math.max(...rows.map((row) => tokenCount(sequences, row)));
          const { targets } = task.targets(encoded, { rows, length });
          const set = [...(targets!.data as Float32Array).entries()].filter(([, share]) => share !== 0);
          const gold = examples.flatMap(({ tags }) => tags);
          expect(set).toEqual(
            places
              .map(({ word, sequence, position }): [number, number] => [
                (position * rows.length + sequence) * labels.length + labels.indexOf(gold[word]!),
                1,
              ])
              .sort(([a], [b]) => a - b),
          );
          expect(task.weight(encoded, rows)).toBe(places.length);
        },
      ),
    );
  });

  test("an oracle finds all spans, in any scheme, whatever the windows and passes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(sentence, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...schemes),
        fc.integer({ min: 3, max: 24 }),
        fc.integer({ min: 1, max: 5 }),
        async (drawn, scheme, maxLength, rowsPerPass) => {
          const examples = drawn.map(({ words, tags }) => ({
            words: words.map((word, i) => word || String.fromCharCode(0x4e00 + i)),
            tags: encodeSpans(decodeTags(tags), words.length, scheme),
          }));
          const task = tokenClassification({ labels, scheme, stride: 4 });
          const encoded = await task.encode(examples, characterTokenizer(2), maxLength);
          const { evaluation, predictions } = oracle(task, encoded, rowsPerPass);
          const hasSpans = examples.some(({ tags }) => tags.some((tag) => tag !== "O"));
          expect(evaluation.scores.f1).toBe(hasSpans ? 1 : 0);
          expect(evaluation.loss).toBeLessThan(1e-9);
          for (const [i, { tags, entities }] of predictions.entries()) {
            const { words } = examples[i]!;
            expect(tags).toEqual(examples[i]!.tags);
            for (const { text, start, end, offsets, score } of entities) {
              expect(text).toBe(words.slice(start, end).join(" "));
              expect(words.join(" ").slice(...offsets)).toBe(text);
              expect(score).toBeGreaterThan(0.99);
            }
          }
        },
      ),
    );
  });

  test("finds a span of every length across windows", async () => {
    for (let length = 1; length <= 60; length++) {
      const words = numberedWords(Array.from({ length: 64 }, (_, i) => 1 + (i % 3)));
      const tags = encodeSpans([{ type: "A", start: 2, end: 2 + length }], words.length, "IOB2");
      const task = tokenClassification({ labels, stride: 5 });
      const encoded = await task.encode([{ words, tags }], characterTokenizer(), 16);
      expect(encoded.sequences.count).toBeGreaterThan(5);
      expect(oracle(task, encoded, 4).evaluation.scores.f1).toBe(1);
    }
  });

  test("words without tokens are O, and count against a gold span", async () => {
    const task = tokenClassification({ labels });
    const examples = [{ words: ["\u4e00", "", "\u4e02"], tags: ["B-A", "I-A", "O"] }];
    const encoded = await task.encode(examples, characterTokenizer(), 8);
    const { evaluation, predictions } = oracle(task, encoded, 1);
    expect(predictions[0]!.tags).toEqual(["B-A", "O", "O"]);
    expect(evaluation.scores).toMatchObject({ f1: 0, tagAccuracy: 2 / 3 });
  });

  test("counts gold spans of types that it has not learnt as missed, without loss", async () => {
    const task = tokenClassification({ labels });
    const examples = [{ words: ["\u4e00", "\u4e01"], tags: ["B-A", "B-new"] }];
    const encoded = await task.encode(examples, characterTokenizer(), 8);
    expect(task.weight(encoded, Int32Array.of(0))).toBe(1);
    const { evaluation } = oracle(task, encoded, 1);
    expect(evaluation.scores).toMatchObject({ precision: 1, recall: 0.5 });
    expect(evaluation.loss).toBeLessThan(1e-9);
  });

  test("scores the tags that predictions give, not those that make no sense", async () => {
    const task = tokenClassification({ labels, decoding: "argmax" });
    const examples = [{ words: ["\u4e00", "\u4e01", "\u4e02"], tags: ["B-A", "I-A", "B-B"] }];
    const encoded = await task.encode(examples, characterTokenizer(), 8);
    const [evaluator, decoder] = [task.evaluator(encoded), task.decoder(encoded)];
    const length = tokenCount(encoded.sequences, 0);
    const logits = new Float64Array(length * labels.length);
    const chosen = ["I-A", "I-A", "I-B"];
    for (const { word, position } of placesOf(encoded)) {
      logits[position * labels.length + labels.indexOf(chosen[word]!)] = 9;
    }
    for (const taker of [evaluator, decoder]) taker.add({ rows: Int32Array.of(0), length, logits });
    expect(decoder.finish()[0]!.tags).toEqual(["B-A", "I-A", "B-B"]);
    expect(evaluator.result().scores).toMatchObject({ f1: 1, tagAccuracy: 1 });
  });

  test("cuts plain text as its training data was cut, adapters without a choice as before there was one", () => {
    const wordsOf = (text: string, cut?: object): readonly string[] =>
      tokenClassification({ labels, ...(cut && { cut: cut as never }) }).fromText!(text).words;
    expect(wordsOf("ไปกรุงเทพ")).toEqual(["ไปกรุงเทพ"]);
    expect(wordsOf("ไปกรุงเทพ", { at: "words" })).toEqual(["ไป", "กรุงเทพ"]);
    expect(wordsOf("กรุง서울", { at: "characters" })).toEqual(["ก", "รุ", "ง", "서", "울"]);
    const cut = { at: "words", endings: ["ssa", "a"], beginnings: ["al"] };
    expect(wordsOf("Helsingissa alku a", cut)).toEqual(["Helsingi", "ss", "a", "al", "ku", "a"]);
  });

  test("takes tags and scheme from the training data", () => {
    const data = { train: [{ words: ["a", "b"], tags: ["B-X", "L-X"] }, { words: ["c"] }] };
    const resolved = familyOf("token-classification").resolve({}, data as never);
    expect(resolved).toEqual({ labels: ["O", "B-X", "I-X"], scheme: "BILOU" });
    const table = { cut: { at: "characters" } };
    const cut = familyOf("token-classification").resolve({}, { ...data, table } as never).cut;
    expect(cut).toEqual({ at: "characters" });
    expect(familyOf("token-classification").resolve({ scheme: "IOB1" }, data as never).scheme).toBe("IOB1");
  });

  test("cuts plain text into words with their places", () => {
    const { words, text, offsets } = tokenClassification({ labels }).fromText!("Dr.  Müller's 3.5 € 北京😀");
    // The same cut as for texts whose spans are training data, and the same on every version of Node.
    expect(words).toEqual(["Dr", ".", "Müller", "'", "s", "3", ".", "5", "€", "北", "京", "😀"]);
    expect(offsets!.map(([start, end]) => text!.slice(start, end))).toEqual(words);
  });

  test("gives entities their places in the text that the words were cut from", () => {
    const task = tokenClassification({ labels });
    const example: TokenExample = {
      words: ["New", "York", "!"],
      text: "in New\n York!",
      offsets: [
        [3, 6],
        [8, 12],
        [12, 13],
      ],
    };
    const encoded = task.encode([example], characterTokenizer(), 16);
    return encoded.then((found) => {
      const decoder = task.decoder(found);
      const logits = new Float64Array(10 * labels.length);
      // N of New, Y of York, and the exclamation mark, behind [CLS].
      logits[1 * labels.length + labels.indexOf("B-A")] = Math.log(3 * 4);
      logits[4 * labels.length + labels.indexOf("I-A")] = Math.log(4);
      logits[8 * labels.length + labels.indexOf("O")] = 9;
      decoder.add({ rows: Int32Array.of(0), length: 10, logits });
      const [prediction] = decoder.finish() as TokenPrediction[];
      expect(prediction!.tags).toEqual(["B-A", "I-A", "O"]);
      const [entity] = prediction!.entities;
      expect(entity).toMatchObject({ text: "New\n York", type: "A", start: 0, end: 2, offsets: [3, 12] });
      expect(entity!.score).toBeCloseTo((12 / 16 + 4 / 8) / 2, 12);
      expect(task.tabulate(example, prediction!, false)).toEqual([
        { entity: "New\n York", type: "A", score: entity!.score, words: "0–1", characters: "3–11" },
      ]);
    });
  });

  test("refuses labels and examples that do not fit", async () => {
    for (const bad of [["O"], ["B-A", "I-A"], ["O", "B-A", "B-A"], ["O", "NOUN"]]) {
      expect(() => tokenClassification({ labels: bad })).toThrow(/labels: expected O and different tags/);
    }
    expect(() => tokenClassification({ labels, stride: -1 })).toThrow(/stride/);
    const task = tokenClassification({ labels });
    const encode = (example: TokenExample, maxLength = 8) =>
      task.encode([example], characterTokenizer(), maxLength);
    await expect(encode({ words: ["a"], tags: [] })).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(encode({ words: ["a"], tags: ["X-A"] })).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(encode({ words: ["a"] }, 2)).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: "maxLength: expected at least 3 tokens, got 2.",
    });
    expect((await task.encode([], characterTokenizer(), 8)).count).toBe(0);
  });
});

describe("semantic roles", () => {
  const roleLabels = spanLabels([{ words: [], tags: ["B-V", "B-ARG0", "B-C-ARG0"] }]);
  const example: RoleExample = {
    words: numberedWords([2, 1, 3, 1]),
    predicate: 2,
    tags: ["B-ARG0", "O", "B-V", "B-C-ARG0"],
  };
  const rowsOf = ({ sequences }: EncodedWords): number[][] =>
    Array.from({ length: sequences.count }, (_, i) => [
      ...sequences.ids.subarray(sequences.starts[i], sequences.starts[i + 1]),
    ]);
  const typesOf = ({ sequences }: EncodedWords): number[][] =>
    Array.from({ length: sequences.count }, (_, i) => [
      ...sequences.typeIds.subarray(sequences.starts[i], sequences.starts[i + 1]),
    ]);
  const hash = "#".charCodeAt(0);

  test.each([
    { separators: 1, middle: [2] },
    { separators: 2, middle: [2, 2] },
  ] as const)("repeats the predicate's word behind the real separator ($separators)", async (each) => {
    const task = semanticRoles({ labels: roleLabels });
    const encoded = await task.encode([example], characterTokenizer(each.separators), 32);
    const text = [0x4e00, hash, 0x4e01, 0x4e02, hash, hash, 0x4e03];
    expect(rowsOf(encoded)).toEqual([[1, ...text, ...each.middle, 0x4e02, hash, hash, 2]]);
    expect(typesOf(encoded)[0]!.every((type) => type === 0)).toBe(true);
    expect(placesOf(encoded).map(({ position }) => position)).toEqual([1, 3, 4, 7]);
    // The repeated word has no targets.
    expect(task.weight(encoded, Int32Array.of(0))).toBe(4);
  });

  test("marks the predicate's tokens by type, in every window that has them", async () => {
    const task = semanticRoles({ labels: roleLabels, predicateMarking: "token-type", stride: 2 });
    const encoded = await task.encode([example], characterTokenizer(), 7);
    expect(rowsOf(encoded)).toEqual([
      [1, 0x4e00, hash, 0x4e01, 0x4e02, hash, 2],
      [1, 0x4e02, hash, hash, 0x4e03, 2],
    ]);
    expect(typesOf(encoded)).toEqual([
      [0, 0, 0, 0, 1, 1, 0],
      [0, 1, 1, 1, 0, 0],
    ]);
  });

  test("an oracle scores 1 with and without V; a model that knows only V scores 0 without", async () => {
    for (const predicateMarking of ["word", "token-type"] as const) {
      const task = semanticRoles({ labels: roleLabels, predicateMarking });
      const encoded = await task.encode([example, { ...example, predicate: 0 }], characterTokenizer(), 9);
      const { evaluation, predictions } = oracle(task, encoded, 3);
      expect(evaluation.scores).toMatchObject({ f1: 1, f1WithoutV: 1, recallWithoutV: 1 });
      expect(Object.keys(evaluation.scores).sort()).toEqual([...task.scores].sort());
      expect(predictions[0]!.roles.map(({ role, start, end }) => [role, start, end])).toEqual([
        ["ARG0", 0, 1],
        ["C-ARG0", 3, 4],
      ]);
    }
    const task = semanticRoles({ labels: roleLabels });
    const encoded = await task.encode([example], characterTokenizer(), 32);
    const evaluator = task.evaluator(encoded);
    const logits = new Float64Array(13 * roleLabels.length);
    for (let row = 0; row < 13; row++)
      logits[row * roleLabels.length + (row === 4 ? roleLabels.indexOf("B-V") : 0)] = 1;
    evaluator.add({ rows: Int32Array.of(0), length: 13, logits });
    expect(evaluator.result().scores).toMatchObject({ f1: 0.5, f1WithoutV: 0 });
  });

  test("refuses unknown markings, predicates outside the sentence, and backbones with one token type", async () => {
    expect(() => semanticRoles({ labels: roleLabels, predicateMarking: "wrod" as never })).toThrow(
      /predicateMarking: expected one of word, token-type, got "wrod"/,
    );
    const task = semanticRoles({ labels: roleLabels, predicateMarking: "token-type" });
    await expect(task.encode([{ ...example, predicate: 4 }], characterTokenizer(), 32)).rejects.toMatchObject(
      {
        code: "DATA_INVALID",
        message: "predicate: expected the number of one of 4 words, got 4.",
      },
    );
    const config = { typeVocabSize: 1, modelType: "roberta", hiddenSize: 4, initializerRange: 0.02 };
    expect(() => task.head.initialize(config as never, undefined as never)).toThrow(/two token types/);
  });
});
