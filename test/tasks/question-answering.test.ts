import fc from "fast-check";
import type { AnswerExample } from "ptuning/data";
import { openTokenizer, tokenCount } from "ptuning/internal/text";
import {
  type EncodedAnswers,
  hasAnswerless,
  type QuestionAnsweringOptions,
  questionAnswering,
} from "ptuning/tasks";
import { describe, expect, test } from "vitest";
import { characterTokenizer } from "../support/pieces.ts";

/** A passage of numbered characters with blanks between some. */
function passage(length: number): string {
  return Array.from({ length }, (_, i) => (i % 5 === 4 ? " " : String.fromCharCode(0x4e00 + i))).join("");
}

function asking(context: string, start: number, end: number, id = "q"): AnswerExample {
  return { id, question: "why?", context, answers: [{ text: context.slice(start, end), start }] };
}

const allRows = ({ sequences }: EncodedAnswers): Int32Array =>
  Int32Array.from({ length: sequences.count }, (_, row) => row);

/** Logits that say the gold positions of every window, `height` high. */
function oracle(
  task: ReturnType<typeof questionAnswering>,
  encoded: EncodedAnswers,
  rows: Int32Array,
  height = 30,
) {
  const length = Math.max(...rows.map((row) => tokenCount(encoded.sequences, row)));
  const { targets } = task.targets(encoded, { rows, length });
  return {
    rows,
    length,
    logits: Float64Array.from(targets!.data as Float32Array, (share) => (share > 0 ? height : 0)),
  };
}

describe("windows of questions and passages", () => {
  test("hold the question and every character of the passage, with gold positions where the answer is whole", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 90 }),
        fc.nat(100),
        fc.nat(100),
        fc.integer({ min: 12, max: 64 }),
        fc.nat(20),
        fc.constantFrom(1, 2),
        async (length, from, size, maxLength, stride, separators) => {
          const context = passage(length);
          const start = from % length;
          const end = Math.min(length, start + 1 + (size % (length - start)));
          // Answers start and end with a token.
          fc.pre(context[start] !== " " && context[end - 1] !== " ");
          const task = questionAnswering({ stride });
          const encoded = await task.encode(
            [asking(context, start, end)],
            characterTokenizer(separators as 1 | 2),
            maxLength,
          );
          const { sequences, places, starts, ends, contexts } = encoded;
          const { charStarts, charEnds } = contexts[0]!;
          const seen = new Set<number>();
          for (let row = 0; row < sequences.count; row++) {
            expect(tokenCount(sequences, row)).toBeLessThanOrEqual(maxLength);
            const ids = sequences.ids.subarray(sequences.starts[row], sequences.starts[row + 1]);
            const { position, count, first } = places[row]!;
            for (let i = 0; i < count; i++) {
              expect(ids[position + i]).toBe(context.charCodeAt(charStarts[first + i]!));
              seen.add(charStarts[first + i]!);
            }
            const isWhole = charStarts[first]! <= start && charEnds[first + count - 1]! >= end;
            if (isWhole) {
              expect(charStarts[first + starts[row]! - position]).toBe(start);
              expect(charEnds[first + ends[row]! - position]).toBe(end);
            } else expect([starts[row], ends[row]]).toEqual([0, 0]);
          }
          expect(seen.size).toBe(context.replaceAll(" ", "").length);
        },
      ),
    );
  });

  test("keep a question of any length from crowding out the passage", async () => {
    const example = { ...asking(passage(40), 0, 3), question: "w".repeat(100) };
    const encoded = await questionAnswering().encode([example], characterTokenizer(), 33);
    const { sequences, places } = encoded;
    expect(sequences.truncated).toBe(sequences.count);
    expect(places[0]).toEqual({ position: 17, count: 15, first: 0 });
  });

  test("share the tokens of a passage and weigh unlabelled questions nothing", async () => {
    const task = questionAnswering({ answerless: true });
    const context = passage(10);
    const encoded = await task.encode(
      [
        asking(context, 0, 1),
        { id: "2", question: "?", context },
        { id: "3", question: "?", context, answers: [] },
      ],
      characterTokenizer(),
      32,
    );
    expect([...allRows(encoded)].map((row) => task.weight(encoded, Int32Array.of(row)))).toEqual([1, 0, 1]);
    const { targets, kept } = task.targets(encoded, { rows: allRows(encoded), length: 15 });
    const set = [...(targets!.data as Float32Array).entries()].filter(([, share]) => share > 0);
    // [S, B, 2]: question 1 at position 6, question 3 at [CLS]; each half.
    expect(set).toEqual([
      [2 * 2, 0.5],
      [2 * 2 + 1, 0.5],
      [2 * (6 * 3), 0.5],
      [2 * (6 * 3) + 1, 0.5],
    ]);
    expect((kept!.data as Float32Array).reduce((sum, value) => sum + value, 0)).toBe(
      encoded.sequences.ids.length,
    );
  });

  test("refuse answers that are not at their place, or missing", async () => {
    const encode = (example: AnswerExample, options: QuestionAnsweringOptions = {}) =>
      questionAnswering(options).encode([example], characterTokenizer(), 32);
    const example = { id: "7", question: "?", context: "abc" };
    await expect(encode({ ...example, answers: [{ text: "b", start: 2 }] })).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: 'question 7: expected the answer "b" at character 2, got "c".',
    });
    await expect(encode({ ...example, answers: [] })).rejects.toMatchObject({ code: "DATA_INVALID" });
    await expect(encode({ ...example, answers: [] }, { answerless: true })).resolves.toBeDefined();
    await expect(encode({ ...example, context: "" })).resolves.toMatchObject({ count: 1 });
    expect(hasAnswerless([example, { ...example, answers: [] }])).toBe(true);
    expect(hasAnswerless([example])).toBe(false);
  });
});

describe("answers", () => {
  test("an oracle answers spans of every length, also across windows", async () => {
    const context = passage(120);
    const places = [...context].flatMap((character, at) => (character === " " ? [] : [at]));
    for (let tokens = 1; tokens <= 30; tokens++) {
      const task = questionAnswering({ stride: 30 });
      const examples = Array.from({ length: 12 }, (_, i) => {
        const first = (i * 7) % (places.length - tokens);
        return asking(context, places[first]!, places[first + tokens - 1]! + 1, `${i}`);
      });
      const encoded = await task.encode(examples, characterTokenizer(), 69);
      expect(encoded.sequences.count).toBeGreaterThanOrEqual(2 * examples.length);
      const [evaluator, decoder] = [task.evaluator(encoded), task.decoder(encoded)];
      // Windows in any order, torn apart by passes.
      const rows = allRows(encoded).toReversed();
      for (let start = 0; start < rows.length; start += 5) {
        const output = oracle(task, encoded, rows.subarray(start, start + 5));
        evaluator.add(output);
        decoder.add(output);
      }
      const { scores, loss, collapsed } = evaluator.result();
      expect({ ...scores, collapsed }).toEqual({ exactMatch: 1, f1: 1, collapsed: false });
      expect(loss).toBeLessThan(1e-9);
      for (const [i, { id, text, start, end, score, nBest }] of decoder.finish().entries()) {
        expect(id).toBe(examples[i]!.id);
        expect(text).toBe(examples[i]!.answers![0]!.text);
        expect([start, end]).toEqual([examples[i]!.answers![0]!.start, start + text.length]);
        expect(context.slice(start, end)).toBe(text);
        expect(nBest[0]).toEqual({ text, start, end, score });
        expect(nBest.length).toBeLessThanOrEqual(20);
        expect(nBest.reduce((sum, answer) => sum + answer.score, 0)).toBeCloseTo(1, 9);
      }
    }
  });

  /** One question, one window, logits by position and kind. */
  async function answer(options: QuestionAnsweringOptions, logits: readonly (readonly [number, number])[]) {
    const task = questionAnswering(options);
    const encoded = await task.encode(
      [{ id: "q", question: "?", context: "abcd" }],
      characterTokenizer(),
      16,
    );
    const decoder = task.decoder(encoded);
    decoder.add({ rows: Int32Array.of(0), length: 8, logits: Float64Array.from(logits.flat()) });
    return decoder.finish()[0]!;
  }
  // [CLS] ? [SEP] a b c d [SEP]
  const logits: [number, number][] = [
    [4, 4],
    [9, 9],
    [9, 9],
    [1, 5],
    [3, 0],
    [0, 0],
    [2, 3],
    [9, 9],
  ];

  test("are stretches of the passage, in order and no longer than allowed", async () => {
    // b…d = 3 + 3, a = 1 + 5, then d = 2 + 3; ends before starts and other tokens do not count.
    const { nBest } = await answer({}, logits);
    expect(nBest.map(({ text }) => text)).toEqual([
      "a",
      "bcd",
      "d",
      "abcd",
      "b",
      "bc",
      "cd",
      "ab",
      "abc",
      "c",
    ]);
    const total = [6, 6, 5, 4, 3, 3, 3, 1, 1, 0].reduce((sum, logit) => sum + Math.exp(logit), 0);
    expect(nBest[2]!.score).toBeCloseTo(Math.exp(5) / total, 12);
    expect((await answer({ maxAnswerLength: 2 }, logits)).nBest.map(({ text }) => text)).toEqual([
      "a",
      "d",
      "b",
      "bc",
      "cd",
      "ab",
      "c",
    ]);
    expect((await answer({ nBest: 2 }, logits)).nBest).toHaveLength(2);
  });

  test("leave out the blank that tokens of some vocabularies begin with", async () => {
    const tokenizer = await openTokenizer(new URL("../golden/tokenizers/deberta", import.meta.url).pathname);
    const context = "so is the end";
    const task = questionAnswering();
    const encoded = await task.encode([{ id: "q", question: "?", context }], tokenizer, 32);
    const { charStarts } = encoded.contexts[0]!;
    const { position } = encoded.places[0]!;
    const token = charStarts.indexOf(context.indexOf(" the"));
    expect(token).toBeGreaterThan(0);
    const length = tokenCount(encoded.sequences, 0);
    const logits = Float64Array.from({ length: 2 * length }, (_, i) =>
      i >> 1 === position + token ? 30 : 0,
    );
    const decoder = task.decoder(encoded);
    decoder.add({ rows: Int32Array.of(0), length, logits });
    const [found] = decoder.finish();
    expect(context.slice(found!.start, found!.end)).toBe(found!.text);
    expect(found).toMatchObject({ text: "the", start: 6, end: 9 });
  });

  test("give way to no answer above the threshold only", async () => {
    // "No answer" scores 8, the best answer 6.
    const none = await answer({ answerless: true }, logits);
    expect(none).toMatchObject({ text: "", start: -1, end: -1, noAnswerScore: 2 });
    expect(none.score + none.nBest.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 12);
    expect(await answer({ answerless: true, nullThreshold: 2 }, logits)).toMatchObject({
      text: "a",
      start: 0,
      end: 1,
    });
    expect(await answer({ answerless: true, nullThreshold: 1.99 }, logits)).toMatchObject({ text: "" });
    const always = await answer({}, logits);
    expect(always).toMatchObject({ text: "a" });
    expect(always).not.toHaveProperty("noAnswerScore");
  });

  test("of a question without passage are empty", async () => {
    for (const answerless of [false, true]) {
      const task = questionAnswering({ answerless });
      const encoded = await task.encode([{ id: "q", question: "?", context: " " }], characterTokenizer(), 16);
      const decoder = task.decoder(encoded);
      decoder.add({ rows: Int32Array.of(0), length: 4, logits: new Float64Array(8) });
      expect(decoder.finish()[0]).toMatchObject({ text: "", start: -1, nBest: [] });
    }
  });

  test("in a table: the answer, or all that were considered", async () => {
    const task = questionAnswering({ answerless: true, nullThreshold: 5 });
    const prediction = await answer({ answerless: true, nullThreshold: 5 }, logits);
    const example = { id: "q", question: "?", context: "abcd" };
    expect(task.tabulate(example, prediction, false)).toEqual([
      { answer: "a", score: prediction.score, noAnswer: 2, characters: "0–0", question: "?" },
    ]);
    expect(task.tabulate(example, prediction, true)).toHaveLength(10);
    expect(task.fromText!("Who?", "Me.")).toEqual({ id: "", question: "Who?", context: "Me." });
    expect(() => task.fromText!("Who?")).toThrow(/expected a passage/);
  });
});

describe("the threshold of no answer", () => {
  const context = passage(20);
  const examples = [
    asking(context, 0, 3, "a"),
    asking(context, 5, 6, "b"),
    { ...asking(context, 0, 1, "c"), answers: [] },
    { ...asking(context, 0, 1, "d"), answers: [] },
  ];
  /** Right answers, with "no answer" ahead by these. */
  const nulls = [1, 2, 3, 6];

  async function evaluate(options: QuestionAnsweringOptions) {
    const task = questionAnswering({ answerless: true, ...options });
    const encoded = await task.encode(examples, characterTokenizer(), 64);
    const evaluator = task.evaluator(encoded);
    for (const row of allRows(encoded)) {
      const output = oracle(task, encoded, Int32Array.of(row), 10);
      const best = row < 2 ? 20 : 0;
      output.logits[0] = best + nulls[row]!;
      output.logits[1] = 0;
      evaluator.add(output);
    }
    return { task, result: evaluator.result() };
  }

  test("is tuned on what is evaluated, kept by the task, and fixed after that", async () => {
    const fixed = await evaluate({});
    expect(fixed.result.scores).toMatchObject({ hasAnswerF1: 0, noAnswerF1: 1, f1: 0.5 });
    expect(fixed.result).toMatchObject({ collapsed: true });
    expect(fixed.result).not.toHaveProperty("tuned");
    expect(fixed.task.tune).toBeUndefined();

    const tuned = await evaluate({ nullThreshold: "tuned" });
    expect(tuned.result).toMatchObject({ tuned: { nullThreshold: 2 }, collapsed: false });
    expect(tuned.result.scores).toMatchObject({ exactMatch: 1, f1: 1, hasAnswerF1: 1, noAnswerF1: 1 });
    const kept = tuned.task.tune!(tuned.result.tuned!);
    expect(kept.options).toMatchObject({ answerless: true, nullThreshold: 2 });
    expect((await evaluate(kept.options)).result.scores).toEqual(tuned.result.scores);
    expect(tuned.task.tune!({}).options.nullThreshold).toBe(0);
  });

  test("refuses options that are none", () => {
    for (const options of [
      { nBest: 0 },
      { maxAnswerLength: 1.5 },
      { stride: -1 },
      { nullThreshold: Number.NaN },
    ]) {
      expect(() => questionAnswering(options)).toThrow(Object.keys(options)[0]);
    }
  });
});

describe("the trivial answer", () => {
  const [first, second] = [asking("ab cd ef", 0, 1, "first"), asking("ab cd ef", 3, 5, "second")];
  const none = { id: "none", question: "why?", context: "ab cd ef", answers: [] };
  test.each([
    [{ answerless: true }, "no answer for every question", [first, second, none, none], 0.5],
    [{}, "first word of every passage", [first, second, second, second], 0.25],
  ] as const)("with %o is %s", async (options, name, examples, share) => {
    const task = questionAnswering(options);
    const encoded = await task.encode(examples, characterTokenizer(1), 40);
    const trivial = task.trivial!(encoded);
    expect(trivial.name).toBe(name);
    const [rows, length] = [allRows(encoded), 24];
    const evaluator = task.evaluator(encoded);
    evaluator.add({ rows, length, logits: trivial.logits(encoded, { rows, length }) });
    expect(evaluator.result().scores.exactMatch).toBe(share);
  });
});
