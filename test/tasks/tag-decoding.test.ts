/** How tags are chosen from logits: beside all sequences that there are, and beside numpy and seqeval on real sentences. */
import fc from "fast-check";
import { decodeTags, encodeSpans, type TagScheme, type TokenExample } from "ptuning/data";
import { tokenCount } from "ptuning/internal/text";
import {
  type EncodedWords,
  familyOf,
  spanLabels,
  type TagDecoding,
  type TokenPrediction,
  taskFrom,
  tokenClassification,
} from "ptuning/tasks";
import { describe, expect, test } from "vitest";
import { readGolden } from "../support/golden.ts";
import { characterTokenizer, numberedWords } from "../support/pieces.ts";

const labels = spanLabels([{ words: ["x", "x"], tags: ["B-A", "B-B"] }]);
const schemes: TagScheme[] = ["IOB1", "IOB2", "IOBES", "BILOU"];

interface Choice {
  readonly labels?: readonly string[];
  readonly decoding?: TagDecoding;
  readonly scheme?: TagScheme;
  readonly maxLength?: number;
  /** Whether a pass holds one window only, the last ones first. */
  readonly single?: boolean;
  readonly type?: typeof Float32Array | typeof Float64Array;
}

/** Evaluation, predictions and review where the head says `logits` (`[N, C]`, sentence by sentence) of the words. */
async function answer(
  examples: readonly TokenExample[],
  logits: readonly (readonly (readonly number[])[])[],
  { maxLength = 64, single = false, type = Float32Array, ...options }: Choice = {},
) {
  const task = tokenClassification({ labels, stride: 2, ...options });
  const encoded = await task.encode(examples, characterTokenizer(), maxLength);
  const [evaluator, decoder, reviewer] = [
    task.evaluator(encoded),
    task.decoder(encoded),
    task.reviewer!(encoded),
  ];
  const width = (options.labels ?? labels).length;
  const flat = logits.flat();
  const all = Array.from({ length: encoded.sequences.count }, (_, row) => row).reverse();
  for (const rows of (single ? all.map((row) => [row]) : [all]).map((own) => Int32Array.from(own))) {
    const length = Math.max(...rows.map((row) => tokenCount(encoded.sequences, row)));
    // What stands where no word is read must not matter.
    const output = new type(length * rows.length * width).map((_, i) => (i * 7919) % 13);
    for (const [b, row] of rows.entries()) {
      for (let i = encoded.answerStarts[row]!; i < encoded.answerStarts[row + 1]!; i++) {
        const { [i]: word } = encoded.answered;
        output.set(flat[word!]!, (encoded.positions[i]! * rows.length + b) * width);
      }
    }
    for (const taker of [evaluator, decoder, reviewer]) taker.add({ rows, length, logits: output });
  }
  return {
    encoded: encoded as EncodedWords,
    evaluation: evaluator.result(),
    predictions: decoder.finish() as TokenPrediction[],
    review: reviewer.finish(),
  };
}

/** Whether tags of IOB2 may follow one another: an `I` goes on with a span of its type, if that can begin with a `B`. */
function isSequence(tags: readonly string[], known: readonly string[]): boolean {
  return tags.every((tag, i) => {
    if (!tag.startsWith("I-") || !known.includes(`B${tag.slice(1)}`)) return true;
    return i > 0 && [`B${tag.slice(1)}`, tag].includes(tags[i - 1]!);
  });
}

/** The first of the best sequences, by going through all of them. Words without tokens are `O`. */
function bestSequence(
  words: readonly string[],
  logits: readonly (readonly number[])[],
  known: readonly string[],
): string[] {
  let best: { readonly tags: string[]; readonly score: number } | undefined;
  const visit = (tags: string[], score: number): void => {
    const word = tags.length;
    if (word === words.length) {
      if (isSequence(tags, known) && (best === undefined || score > best.score)) best = { tags, score };
      return;
    }
    for (const [i, tag] of known.entries()) {
      if (words[word] !== "") visit([...tags, tag], score + logits[word]![i]!);
      else if (tag === "O") visit([...tags, tag], score);
    }
  };
  visit([], 0);
  return best!.tags;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
function probability(logits: readonly number[], tag: number): number {
  return Math.exp(logits[tag]!) / logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
}

/** Sentences of few words, some without tokens, with logits on a grid so coarse that some are equal. */
const sentences = (count: number, grid: number) =>
  fc.array(
    fc
      .array(
        fc.tuple(
          fc.integer({ min: 0, max: 3 }),
          fc.array(fc.integer({ min: -3 * grid, max: 3 * grid }), { minLength: count, maxLength: count }),
        ),
        { maxLength: 5 },
      )
      .map((drawn) => ({
        words: numberedWords(drawn.map(([length]) => length)),
        logits: drawn.map(([, units]) => units.map((unit) => unit / grid)),
      })),
    { minLength: 1, maxLength: 3 },
  );

describe("constrained decoding", () => {
  test.each([
    ["all tags", labels],
    ["tags in another order", ["I-B", "B-A", "O", "B-B", "I-A"]],
    ["no tag that goes on", ["O", "B-A", "B-B"]],
    ["no tag that begins", ["O", "I-A", "B-B", "I-B"]],
  ])("gives the best of all sequences that spell spans: %s", async (_, known) => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1, 64).chain((grid) => sentences(known.length, grid)),
        fc.constantFrom(...schemes),
        fc.integer({ min: 3, max: 9 }),
        fc.boolean(),
        fc.constantFrom(Float32Array, Float64Array),
        async (drawn, scheme, maxLength, single, type) => {
          const all = drawn.map(({ logits }) => logits);
          const { predictions } = await answer(drawn, all, {
            labels: known,
            scheme,
            maxLength,
            single,
            type,
          });
          for (const [i, { words, logits }] of drawn.entries()) {
            const best = bestSequence(words, logits, known);
            const { tags, entities } = predictions[i]!;
            expect(tags).toEqual(encodeSpans(decodeTags(best), words.length, scheme));
            for (const { start, end, score } of entities) {
              const own = best.slice(start, end).map((tag, at) => {
                return probability(logits[start + at]!, known.indexOf(tag));
              });
              expect(score).toBeCloseTo(mean(own), 10);
            }
          }
        },
      ),
    );
  });

  test("what is predicted is what is scored and reported, in windows too", async () => {
    await fc.assert(
      fc.asyncProperty(
        sentences(labels.length, 8),
        fc.constantFrom<TagDecoding>("constrained", "argmax"),
        fc.integer({ min: 3, max: 9 }),
        fc.infiniteStream(fc.constantFrom("O", "B-A", "I-A", "B-B", "I-B", "B-new")),
        async (drawn, decoding, maxLength, stream) => {
          const examples = drawn.map(({ words }) => {
            const tags = words.map(() => stream.next().value as string);
            return { words, tags: encodeSpans(decodeTags(tags), words.length, "IOB2") };
          });
          const { evaluation, predictions, review } = await answer(
            examples,
            drawn.map(({ logits }) => logits),
            { decoding, maxLength, single: true },
          );
          const [gold, predicted] = [examples, predictions].map((all) => all.map(({ tags }) => tags));
          const pairs = gold!.flatMap((tags, i) => tags.map((tag, at) => [tag, predicted![i]![at]]));
          const right = pairs.filter(([tag, other]) => tag === other).length;
          expect(evaluation.scores.tagAccuracy).toBeCloseTo(right / Math.max(1, pairs.length), 12);
          const spansOf = (all: (readonly string[])[]): Set<string> =>
            new Set(all.flatMap((tags, i) => decodeTags(tags).map((span) => JSON.stringify([i, span]))));
          const [wanted, found] = [spansOf(gold as string[][]), spansOf(predicted as string[][])];
          const hits = [...found].filter((span) => wanted.has(span)).length;
          const f1 = (2 * hits) / Math.max(1, wanted.size + found.size);
          expect(evaluation.scores.f1).toBeCloseTo(f1, 12);
          expect(review.examples.map((each) => each.predicted)).toEqual(
            predictions.map(
              ({ entities }) => entities.map(({ type, text }) => `${type}: ${text}`).join("; ") || "nothing",
            ),
          );
        },
      ),
    );
  });

  test("differs from argmax only where that spells no spans", async () => {
    const words = numberedWords([1, 1, 1]);
    // O: 1, I-A: 2 and B-A: 1.5 at each word.
    const logits = [labels.map((tag) => ({ O: 1, "B-A": 1.5, "I-A": 2 })[tag] ?? 0)];
    const three = [[...logits, ...logits, ...logits]];
    const tagsOf = async (decoding: TagDecoding, of = three) =>
      (await answer([{ words }], of, { decoding })).predictions[0]!.tags;
    expect(await tagsOf("constrained")).toEqual(["B-A", "I-A", "I-A"]);
    expect(await tagsOf("argmax")).toEqual(["B-A", "I-A", "I-A"]);
    // A lone I-B between two A: argmax makes three spans of it, the best sequence is one.
    const torn = [
      three[0]!.map((row, i) =>
        i === 1 ? row.map((value, tag) => (labels[tag] === "I-B" ? 2.1 : value)) : row,
      ),
    ];
    expect(await tagsOf("argmax", torn)).toEqual(["B-A", "B-B", "B-A"]);
    expect(await tagsOf("constrained", torn)).toEqual(["B-A", "I-A", "I-A"]);
  });

  test("numbers that are no numbers, sentences without words and windows that are missing do not stop it", async () => {
    const { NaN: none, POSITIVE_INFINITY: most, NEGATIVE_INFINITY: least } = Number;
    const odd = [
      [none, none, none, none, none],
      [0, most, most, 1, least],
      [least, least, least, least, least],
      [0, least, 3, least, least],
      [least, least, 0, least, least],
    ];
    const words = numberedWords([1, 1, 1, 1, 1]);
    for (const decoding of ["constrained", "argmax"] as const) {
      const { predictions } = await answer(
        [{ words }, { words: [] }, { words: [""] }],
        [odd, [], [odd[0]!]],
        { decoding },
      );
      expect(predictions[0]!.tags).toHaveLength(5);
      expect(encodeSpans(decodeTags(predictions[0]!.tags), 5, "IOB2")).toEqual(predictions[0]!.tags);
      expect(predictions.slice(1).map(({ tags }) => tags)).toEqual([[], ["O"]]);
    }
    // Only I-A is possible, but nowhere first.
    const onlyInside = labels.map((tag) => (tag === "I-A" ? 0 : least));
    const { predictions } = await answer([{ words }], [words.map(() => onlyInside)]);
    expect(decodeTags(predictions[0]!.tags)).toEqual([{ type: "A", start: 0, end: 5 }]);
    const task = tokenClassification({ labels });
    const encoded = await task.encode([{ words }], characterTokenizer(), 4);
    expect(encoded.sequences.count).toBeGreaterThan(2);
    const [decoder, length] = [task.decoder(encoded), tokenCount(encoded.sequences, 0)];
    const logits = new Float32Array(length * labels.length).fill(0);
    for (let at = labels.indexOf("B-A"); at < logits.length; at += labels.length) logits[at] = 1;
    decoder.add({ rows: Int32Array.of(0), length, logits });
    const [{ tags }] = decoder.finish() as [TokenPrediction];
    expect(tags[0]).toBe("B-A");
    expect(tags.at(-1)).toBe("O");
  });

  test("is chosen by an option, which adapters keep; those that do not have it take each word's best tag", () => {
    expect(tokenClassification({ labels }).options.decoding).toBe("constrained");
    for (const type of ["token-classification", "semantic-roles"]) {
      const { decoding, ...former } = taskFrom(type, { labels, decoding: "constrained" }).options;
      expect(decoding).toBe("constrained");
      // As adapters were saved before there was a choice.
      expect(taskFrom(type, former).options).toEqual(former);
      expect(taskFrom(type, { labels, decoding: "argmax" }).options).toEqual(former);
      const data = { train: [{ words: ["a"], tags: ["B-X"] }] } as never;
      const family = familyOf(type);
      const resolved = (settings: object) =>
        family.create(family.resolve(settings as never, data)).options.decoding;
      expect(resolved({})).toBe("constrained");
      // What the other implementations do.
      for (const preset of ["thudm", "peft"]) {
        expect(resolved({ preset })).toBeUndefined();
        expect(resolved({ preset, decoding: "constrained" })).toBe("constrained");
      }
    }
    expect(() => tokenClassification({ labels, decoding: "argmx" as never })).toThrow(
      'decoding: expected argmax or constrained, got "argmx".',
    );
  });
});

interface Golden {
  readonly labels: readonly string[];
  /** Logits are given in these. */
  readonly unit: number;
  readonly cases: readonly { gold: string[]; logits: number[][]; argmax: string[]; constrained: string[] }[];
  readonly scores: Readonly<Record<TagDecoding, Readonly<Record<string, number>>>>;
}

describe("CoNLL04 beside numpy and seqeval", () => {
  const golden = readGolden<Golden>("tag-paths.json");
  const examples = golden.cases.map(({ gold: tags }) => ({ words: numberedWords(tags.map(() => 1)), tags }));
  const logits = golden.cases.map((each) =>
    each.logits.map((row) => row.map((units) => units * golden.unit)),
  );

  test.each<[TagDecoding, number]>([
    ["constrained", 256],
    ["constrained", 12],
    ["argmax", 256],
    ["argmax", 12],
  ])("%s in windows of %i", async (decoding, maxLength) => {
    const { evaluation, predictions, encoded } = await answer(examples, logits, {
      labels: golden.labels,
      decoding,
      maxLength,
    });
    expect(encoded.sequences.count > examples.length).toBe(maxLength < 256);
    for (const [i, { tags }] of predictions.entries()) {
      const chosen = golden.cases[i]![decoding];
      if (decoding === "constrained") expect(tags).toEqual(chosen);
      expect(decodeTags(tags)).toEqual(decodeTags(chosen));
    }
    const { f1, precision, recall, tagAccuracy } = golden.scores[decoding];
    expect(evaluation.scores.f1).toBeCloseTo(f1!, 12);
    expect(evaluation.scores.precision).toBeCloseTo(precision!, 12);
    expect(evaluation.scores.recall).toBeCloseTo(recall!, 12);
    // seqeval scores the tags of argmax before they are mended.
    if (decoding === "constrained") expect(evaluation.scores.tagAccuracy).toBeCloseTo(tagAccuracy!, 12);
  });
});
