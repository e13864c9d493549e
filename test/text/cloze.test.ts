/** Templates around texts: parsing, and tokens as the tokenizer has them for the whole filled text. */
import fc from "fast-check";
import {
  encodeCloze,
  openTokenizer,
  parseCloze,
  type Tokenizer,
  type TokenSequences,
  tokenCount,
} from "ptuning/internal/text";
import { describe, expect, test } from "vitest";
import { tinyLmFolders } from "../support/tiny.ts";

const tokenizers = {
  bert: [await openTokenizer(tinyLmFolders.bert), "[MASK]"],
  roberta: [await openTokenizer(tinyLmFolders.roberta), "<mask>"],
} as const;

const idsOf = (sequences: TokenSequences, i: number): number[] => [
  ...sequences.ids.subarray(sequences.starts[i]!, sequences.starts[i + 1]!),
];

const encodeOne = async (
  tokenizer: Tokenizer,
  template: string,
  text: string | readonly [string, string],
  maxLength = 100,
  masks = [1],
): Promise<TokenSequences> => encodeCloze(tokenizer, parseCloze(template), [text], { maxLength, masks });

describe("parseCloze", () => {
  test("finds texts, mask and pseudo-tokens", () => {
    expect(parseCloze("{p*3} {first} ? {mask} , {second}{p}")).toMatchObject({
      texts: 2,
      hasMask: true,
      blankBeforeMask: true,
      pseudoTokens: 4,
    });
    expect(parseCloze("{text}({mask})")).toMatchObject({ texts: 1, blankBeforeMask: false, pseudoTokens: 0 });
    expect(parseCloze("{text}")).toMatchObject({ hasMask: false });
  });

  test.each([
    ["no text {mask}", /\{text\} once, or \{first\} and \{second\}/],
    ["{text} {text} {mask}", /\{text\} once/],
    ["{text} {first} {mask}", /\{text\} once/],
    ["{first} {mask}", /\{first\} and \{second\} once each/],
    ["{text} {mask} {mask}", /one \{mask\} at most/],
    ["{text} {label} {mask}", /in braces/],
    ["{text} {mask", /in braces/],
  ])("refuses %s", (template, message) => {
    expect(() => parseCloze(template)).toThrow(message);
  });
});

describe.each(["bert", "roberta"] as const)("%s", (name) => {
  const [tokenizer, mask] = tokenizers[name];

  test("gives the tokens of the filled text, and marks the mask", async () => {
    const words = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 5 });
    const text = words.map((numbers) => numbers.map((n) => `w${n}`).join(" "));
    const templates = [
      "{first} w3 {mask} w4 {second}",
      "w3 {second} {mask} {first}",
      "{mask} {first} w1 {second}",
    ];
    await fc.assert(
      fc.asyncProperty(text, text, fc.constantFrom(...templates), async (first, second, template) => {
        const sequences = await encodeOne(tokenizer, template, [first, second]);
        const filled = template.replace("{first}", first).replace("{second}", second).replace("{mask}", mask);
        const whole = await tokenizer.encode([filled], 100);
        expect(idsOf(sequences, 0)).toEqual(idsOf(whole, 0));
        expect(sequences.typeIds.every((type) => type === 0)).toBe(true);
        const { most, positions, counts } = sequences.marks!;
        expect([most, ...counts]).toEqual([1, 1]);
        expect(idsOf(sequences, 0)[positions[0]!]).toBe(tokenizer.specialTokens.mask);
      }),
      { numRuns: 40 },
    );
  });

  test("cuts texts, the longer first, and never the template", async () => {
    const template = "{first} w1 {mask} w2 {second}";
    const [long, short] = ["w3 ".repeat(30), "w4 w5"];
    const whole = idsOf(await encodeOne(tokenizer, template, ["w3 w3 w3", short]), 0);
    const cut = await encodeOne(tokenizer, template, [long, short], whole.length);
    expect(idsOf(cut, 0)).toEqual(whole);
    expect(cut.truncated).toBe(1);
    await expect(encodeOne(tokenizer, template, [long, short], 4)).rejects.toThrow(
      /SEQUENCE_TOO_LONG|at least \d+ tokens for the template alone/,
    );
  });

  test("makes a sequence for each number of masks", async () => {
    const sequences = await encodeOne(tokenizer, "{text} {mask} w1", "w2", 100, [1, 3]);
    const id = tokenizer.specialTokens.mask!;
    const places = [0, 1].map((i) => idsOf(sequences, i).flatMap((other, at) => (other === id ? [at] : [])));
    expect(places.map(({ length }) => length)).toEqual([1, 3]);
    expect([...sequences.marks!.positions]).toEqual([places[0]![0], 0, 0, ...places[1]!]);
    expect([...sequences.marks!.counts]).toEqual([1, 3]);
  });

  test("numbers pseudo-tokens through the template, and can leave them out", async () => {
    const cloze = parseCloze("{p*2} {text} {p} {mask}");
    const options = { maxLength: 50, masks: [1] };
    const ids = idsOf(await encodeCloze(tokenizer, cloze, ["w1"], options), 0);
    expect(ids.filter((id) => id < 0)).toEqual([-1, -2, -3]);
    const without = await encodeCloze(tokenizer, cloze, ["w1"], { ...options, withoutPseudoTokens: true });
    expect(idsOf(without, 0)).toEqual(ids.filter((id) => id >= 0));
    expect(tokenCount(without, 0)).toBe(ids.length - 3);
  });

  test("refuses a pair in a template for single texts, and the other way round", async () => {
    await expect(encodeOne(tokenizer, "{text} {mask}", ["a", "b"])).rejects.toThrow(
      /a text per example, got a pair/,
    );
    await expect(encodeOne(tokenizer, "{first} {mask} {second}", "a")).rejects.toThrow(
      /a pair of texts per example/,
    );
  });
});
