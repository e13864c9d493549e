/** How tags are chosen from logits: beside all sequences that there are, and beside numpy and seqeval on real sentences. */
import fc from "fast-check";
import { decodeTags, encodeSpans, type TagScheme, type TokenExample } from "ptuning/data";
import { tokenCount } from "ptuning/internal/text";
import {
  countTags,
  type EncodedWords,
  familyOf,
  spanLabels,
  type TagCounts,
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
  readonly transitions?: TagCounts;
  readonly transitionWeight?: number;
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

/** Whether a tag of IOB2 may stand behind another: an `I` goes on with a span of its type, if that can begin with a `B`. */
function mayFollow(before: string, tag: string, known: readonly string[]): boolean {
  const first = `B${tag.slice(1)}`;
  return !tag.startsWith("I-") || !known.includes(first) || [first, tag].includes(before);
}
const isSequence = (tags: readonly string[], known: readonly string[]): boolean =>
  tags.every((tag, i) => mayFollow(tags[i - 1] ?? "", tag, known));

/** The first of the best sequences, by going through all of them. Words without tokens are `O`. @param shareOf of a tag behind another */
function bestSequence(
  words: readonly string[],
  logits: readonly (readonly number[])[],
  known: readonly string[],
  shareOf: (before: string, tag: string) => number = () => 1,
  weight = 0,
): string[] {
  let best: { readonly tags: string[]; readonly score: number } | undefined;
  const visit = (tags: string[], score: number): void => {
    const word = tags.length;
    if (word === words.length) {
      if (!isSequence(tags, known)) return;
      const steps = [...tags, ""].map((tag, i) => Math.log(shareOf(tags[i - 1] ?? "", tag)));
      const sum = score + weight * (words.length === 0 ? 0 : steps.reduce((a, b) => a + b, 0));
      if (best === undefined || sum > best.score + 1e-9) best = { tags, score: sum };
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

  test.each([
    ["all tags", labels],
    ["no tag that begins", ["O", "I-A", "B-B", "I-B"]],
  ])("counted transitions weigh beside logits: %s", async (_, known) => {
    const count = fc.integer({ min: 0, max: 20 });
    const row = fc.record(Object.fromEntries([...known, ""].map((tag) => [tag, count])), {
      requiredKeys: [],
    });
    await fc.assert(
      fc.asyncProperty(
        sentences(known.length, 64),
        fc.record(Object.fromEntries([...known, ""].map((tag) => [tag, row])), {
          requiredKeys: [],
        }) as fc.Arbitrary<TagCounts>,
        fc.constantFrom(0, 0.3, 2),
        fc.integer({ min: 3, max: 9 }),
        async (rough, transitions, transitionWeight, maxLength) => {
          // No two sequences are equally good.
          const drawn = rough.map(({ words, logits }) => ({
            words,
            logits: logits.map((row, word) =>
              row.map((logit, tag) => logit + Math.sin(17 * word + 5 * tag) / 9),
            ),
          }));
          const shareOf = (before: string, tag: string): number => {
            const countOf = (next: string): number =>
              mayFollow(before, next, known) ? (transitions[before]?.[next] ?? 0) + 0.5 : 0;
            const all = before === "" ? known : [...known, ""];
            return countOf(tag) / all.reduce((sum, next) => sum + countOf(next), 0);
          };
          const { predictions } = await answer(
            drawn,
            drawn.map(({ logits }) => logits),
            { labels: known, transitions, transitionWeight, maxLength, single: true, type: Float64Array },
          );
          for (const [i, { words, logits }] of drawn.entries()) {
            const best = bestSequence(words, logits, known, shareOf, transitionWeight);
            expect(decodeTags(predictions[i]!.tags)).toEqual(decodeTags(best));
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

describe("counted transitions", () => {
  const examples = [
    { words: ["a", "b", "c"], tags: ["B-A", "L-A", "O"] },
    { words: ["a", "b"], tags: ["U-B", "U-A"] },
    { words: ["a"] },
    { words: [], tags: [] },
  ];

  test("are those of the training data in IOB2, with the borders of sentences", () => {
    expect(countTags(examples)).toEqual({
      "": { "B-A": 1, "B-B": 1 },
      "B-A": { "": 1, "I-A": 1 },
      "B-B": { "B-A": 1 },
      "I-A": { O: 1 },
      O: { "": 1 },
    });
    for (const type of ["token-classification", "semantic-roles"]) {
      const family = familyOf(type);
      const data = { train: examples } as never;
      expect(family.resolve({ transitions: "rules" }, data)).not.toHaveProperty("transitions");
      const task = family.create(family.resolve({ transitions: "counted" }, data));
      expect(task.options).toMatchObject({ transitions: countTags(examples), transitionWeight: "tuned" });
      // Without a dev set; and as adapters hold what was found.
      expect(task.tune!({}).options.transitionWeight).toBe(0.2);
      const { options, tune } = task.tune!({ transitionWeight: 0.4 });
      expect(tune).toBeUndefined();
      expect(options.transitionWeight).toBe(0.4);
      expect(taskFrom(type, JSON.parse(JSON.stringify(options))).options).toEqual(options);
    }
  });

  test("weigh what is best on dev, the least where several are", async () => {
    const weights = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1];
    await fc.assert(
      fc.asyncProperty(sentences(labels.length, 8), fc.nat(), async (drawn, seed) => {
        const tagged = drawn.map(({ words }, i) => {
          const tags = words.map((_, at) => labels[(seed + 7 * i + 3 * at) % labels.length]!);
          return { words, tags: encodeSpans(decodeTags(tags), words.length, "IOB2") };
        });
        const transitions = countTags(tagged);
        const logits = drawn.map((each) => each.logits);
        const { evaluation, predictions } = await answer(tagged, logits, { transitions });
        const fixed = [];
        for (const transitionWeight of weights)
          fixed.push(await answer(tagged, logits, { transitions, transitionWeight }));
        const scores = fixed.map((each) => each.evaluation.scores.f1!);
        const best = scores.indexOf(Math.max(...scores));
        expect(evaluation.scores).toEqual(fixed[best]!.evaluation.scores);
        expect(evaluation.collapsed).toBe(fixed[best]!.evaluation.collapsed);
        const hasGold = drawn.some(({ words }) => words.some((word) => word !== ""));
        expect(evaluation.tuned).toEqual(hasGold ? { transitionWeight: weights[best] } : undefined);
        expect(fixed[best]!.evaluation.tuned).toBeUndefined();
        expect(predictions).toEqual(fixed[weights.indexOf(0.2)]!.predictions);
      }),
      { numRuns: 30 },
    );
  });

  test("are refused where nothing can come of them", () => {
    const transitions = countTags(examples);
    expect(() => tokenClassification({ labels, transitions, decoding: "argmax" })).toThrow(
      "transitions: expected none where each word's best tag is taken, got counted ones.",
    );
    expect(() => tokenClassification({ labels, transitionWeight: 1 })).toThrow(
      "transitionWeight: expected none without counted transitions, got 1.",
    );
    for (const transitionWeight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => tokenClassification({ labels, transitions, transitionWeight })).toThrow(
        `transitionWeight: expected "tuned" or a number from 0, got ${transitionWeight}.`,
      );
    }
  });
});

interface Golden {
  readonly labels: readonly string[];
  /** Logits are given in these. */
  readonly unit: number;
  readonly weight: number;
  readonly counts: TagCounts;
  readonly cases: readonly ({ gold: string[]; logits: number[][] } & Record<Way, string[]>)[];
  readonly scores: Readonly<Record<Way, Readonly<Record<string, number>>>>;
}
type Way = TagDecoding | "counted";

describe("CoNLL04 beside numpy and seqeval", () => {
  const golden = readGolden<Golden>("tag-paths.json");
  const examples = golden.cases.map(({ gold: tags }) => ({ words: numberedWords(tags.map(() => 1)), tags }));
  const logits = golden.cases.map((each) =>
    each.logits.map((row) => row.map((units) => units * golden.unit)),
  );
  const options: Readonly<Record<Way, Choice>> = {
    argmax: { decoding: "argmax" },
    constrained: {},
    counted: { transitions: countTags(examples), transitionWeight: golden.weight },
  };

  test("counts", () => expect(countTags(examples)).toEqual(golden.counts));

  test.each<[Way, number]>([
    ["argmax", 256],
    ["argmax", 12],
    ["constrained", 256],
    ["constrained", 12],
    ["counted", 256],
    ["counted", 12],
  ])("%s in windows of %i", async (way, maxLength) => {
    const { evaluation, predictions, encoded } = await answer(examples, logits, {
      labels: golden.labels,
      ...options[way],
      maxLength,
    });
    expect(encoded.sequences.count > examples.length).toBe(maxLength < 256);
    for (const [i, { tags }] of predictions.entries()) {
      const chosen = golden.cases[i]![way];
      if (way !== "argmax") expect(tags).toEqual(chosen);
      expect(decodeTags(tags)).toEqual(decodeTags(chosen));
    }
    const { f1, precision, recall, tagAccuracy } = golden.scores[way];
    expect(evaluation.scores.f1).toBeCloseTo(f1!, 12);
    expect(evaluation.scores.precision).toBeCloseTo(precision!, 12);
    expect(evaluation.scores.recall).toBeCloseTo(recall!, 12);
    // seqeval scores the tags of argmax before they are mended.
    if (way !== "argmax") expect(evaluation.scores.tagAccuracy).toBeCloseTo(tagAccuracy!, 12);
  });
});
