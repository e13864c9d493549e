import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTokenizer, type PieceSequences, type Tokenizer } from "ptuning/internal/text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const special = { bert: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] };
const wordPieces = [...special.bert, "a", "b", "un", "##able", "cafe", "北", "京", "##b", "😀"];
const robertaSpecial = ["<s>", "<pad>", "</s>", "<unk>"];
const alphabet: string[] = createRequire(import.meta.url)("tokenizers").byteLevelAlphabet();
const merges = ["Ġ a", "a b", "Ġ b", "Ġa b"];
const bytePieces = [
  ...robertaSpecial,
  ...alphabet.sort(),
  ...merges.map((merge) => merge.replace(" ", "")),
  "<mask>",
];
const unigram = {
  version: "1.0",
  added_tokens: ["<s>", "<pad>", "</s>", "<unk>"].map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: { type: "NFKC" },
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  post_processor: {
    type: "TemplateProcessing",
    single: ["<s>", "A", "</s>"].map(part),
    pair: ["<s>", "A", "</s>", "</s>", "B", "</s>"].map(part),
    special_tokens: Object.fromEntries(
      ["<s>", "</s>"].map((token) => [token, { id: token, ids: [token === "<s>" ? 0 : 2], tokens: [token] }]),
    ),
  },
  decoder: null,
  model: {
    type: "Unigram",
    unk_id: 3,
    vocab: [
      ["<s>", 0],
      ["<pad>", 0],
      ["</s>", 0],
      ["<unk>", 0],
      ["▁", -2],
      ["a", -2],
      ["b", -2],
      ["▁ab", -1],
    ],
  },
};

function part(name: string): object {
  return name.length === 1
    ? { Sequence: { id: name, type_id: 0 } }
    : { SpecialToken: { id: name, type_id: 0 } };
}

let root: string;
let [wordPiece, byteLevel, sentencePiece]: Tokenizer[] = [];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ptuning-text-"));
  const open = async (name: string, files: Record<string, string>): Promise<Tokenizer> => {
    await mkdir(join(root, name));
    for (const [file, content] of Object.entries(files)) await writeFile(join(root, name, file), content);
    return openTokenizer(join(root, name));
  };
  wordPiece = await open("word-piece", { "vocab.txt": `${wordPieces.join("\n")}\n` });
  byteLevel = await open("byte-level", {
    "vocab.json": JSON.stringify(Object.fromEntries(bytePieces.map((piece, id) => [piece, id]))),
    "merges.txt": `#version: 0.2\n${merges.join("\n")}\n`,
  });
  sentencePiece = await open("sentence-piece", {
    "tokenizer.json": JSON.stringify(unigram),
    "special_tokens_map.json": JSON.stringify({ pad_token: "<pad>", cls_token: { content: "<s>" } }),
  });
});
afterAll(() => rm(root, { recursive: true }));

const rows = <T extends PieceSequences>(pieces: T, values: (pieces: T) => ArrayLike<number>): number[][] =>
  Array.from({ length: pieces.count }, (_, i) =>
    Array.from(values(pieces)).slice(pieces.starts[i], pieces.starts[i + 1]),
  );

describe("words", () => {
  const sentences = [["unable", "\u0000", "b", "cafe\u0301"], [], ["ab", "unable"]];

  test("by WordPiece: pieces, and the word of each", async () => {
    const pieces = await wordPiece!.encodeWords(sentences);
    const id = (piece: string): number => wordPieces.indexOf(piece);
    expect(rows(pieces, ({ ids }) => ids)).toEqual([
      ["un", "##able", "b", "cafe"].map(id),
      [],
      ["a", "##b", "un", "##able"].map(id),
    ]);
    expect(rows(pieces, ({ wordIds }) => wordIds)).toEqual([[0, 0, 2, 3], [], [0, 0, 1, 1]]);
  });

  test("by byte-level BPE: with a blank in front of each, the first too", async () => {
    const pieces = await byteLevel!.encodeWords([["ab", "ab"], ["b"], ["ba"]]);
    const id = (piece: string): number => bytePieces.indexOf(piece);
    expect(rows(pieces, ({ ids }) => ids)).toEqual([[id("Ġab"), id("Ġab")], [id("Ġb")], [id("Ġb"), id("a")]]);
    // A text keeps its own blanks.
    expect(rows(await byteLevel!.encodeTexts(["ab ab"]), ({ ids }) => ids)).toEqual([[id("ab"), id("Ġab")]]);
  });

  test("by Unigram: with the marker of a word's begin", async () => {
    const pieces = await sentencePiece!.encodeWords([["ab", "ba"]]);
    expect(rows(pieces, ({ ids }) => ids)).toEqual([[7, 4, 6, 5]]);
    expect(rows(pieces, ({ wordIds }) => wordIds)).toEqual([[0, 1, 1, 1]]);
  });
});

describe("texts", () => {
  const texts = ["b 😀 cafe\u0301 北京", "a", "", "😀😀 a"];

  test("places are indices of the JavaScript string", async () => {
    for (const tokenizer of [wordPiece!, byteLevel!, sentencePiece!]) {
      const pieces = await tokenizer.encodeTexts(texts);
      const [starts, ends] = [
        rows(pieces, ({ charStarts }) => charStarts),
        rows(pieces, ({ charEnds }) => charEnds),
      ];
      const slices = texts.map((text, i) => starts[i]!.map((start, k) => text.slice(start, ends[i]![k])));
      expect(slices[0]![0]).toBe("b");
      expect(slices[0]).toContain("😀");
      expect(slices[2]).toEqual([]);
      expect(slices[3]!.at(-1)!.trim()).toBe("a");
    }
    const { charStarts, charEnds } = await wordPiece!.encodeTexts([texts[0]!]);
    expect([...charStarts]).toEqual([0, 2, 5, 11, 12]);
    expect([...charEnds]).toEqual([1, 4, 9, 12, 13]);
  });

  test("are cut where they are encoded for a model: the longer text of a pair first", async () => {
    const text = (length: number): string => Array(length).fill("a").join(" ");
    expect((await wordPiece!.encodeTexts([text(600)])).ids).toHaveLength(600);
    const single = await wordPiece!.encode([text(6), text(7)], 8);
    expect([...single.starts]).toEqual([0, 8, 16]);
    expect(single.truncated).toBe(1);
    // Tokens of each text with 17 to share, as the Python library (0.23.3) has them.
    for (const [first, second, ...kept] of [
      [40, 40, 8, 9],
      [40, 10, 9, 8],
      [10, 40, 8, 9],
      [8, 40, 8, 9],
      [40, 7, 10, 7],
      [15, 14, 9, 8],
      [41, 40, 9, 8],
      [10, 7, 10, 7],
    ] as const) {
      const { typeIds, truncated } = await wordPiece!.encode([[text(first), text(second)]], 20);
      const ofSecond = typeIds.reduce((sum, type) => sum + type, 0) - 1;
      expect([typeIds.length - 3 - ofSecond, ofSecond]).toEqual(kept);
      expect(truncated).toBe(first + second > 17 ? 1 : 0);
    }
  });
});

describe("special tokens", () => {
  test("stand where the post-processor puts them", async () => {
    expect(wordPiece!.addedTokens).toEqual({ single: 2, pair: 3 });
    expect(wordPiece!.assemble([7, 8])).toEqual({
      ids: Int32Array.of(2, 7, 8, 3),
      typeIds: Uint8Array.of(0, 0, 0, 0),
      firstStart: 1,
      secondStart: undefined,
    });
    expect(wordPiece!.assemble([7, 8], Int32Array.of(5))).toEqual({
      ids: Int32Array.of(2, 7, 8, 3, 5, 3),
      typeIds: Uint8Array.of(0, 0, 0, 0, 1, 1),
      firstStart: 1,
      secondStart: 4,
    });
    for (const tokenizer of [byteLevel!, sentencePiece!]) {
      expect(tokenizer.addedTokens).toEqual({ single: 2, pair: 4 });
      expect(tokenizer.assemble([7], [])).toEqual({
        ids: Int32Array.of(0, 7, 2, 2, 2),
        typeIds: new Uint8Array(5),
        firstStart: 1,
        secondStart: 4,
      });
    }
  });

  test("assembled pieces are what encoding makes at once", async () => {
    for (const tokenizer of [wordPiece!, byteLevel!, sentencePiece!]) {
      const [first, second] = rows(await tokenizer.encodeTexts(["ab b", "unable a"]), ({ ids }) => ids);
      const { ids, typeIds } = tokenizer.assemble(first!, second!);
      const expected = await tokenizer.encode([["ab b", "unable a"]], 100);
      expect(ids).toEqual(expected.ids);
      expect(typeIds).toEqual(expected.typeIds);
    }
  });

  test("have ids by their use", () => {
    expect(wordPiece!.specialTokens).toEqual({ pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 });
    const mask = bytePieces.length - 1;
    expect(byteLevel!.specialTokens).toEqual({ cls: 0, pad: 1, sep: 2, unk: 3, mask });
    expect(sentencePiece!.specialTokens).toEqual({ cls: 0, pad: 1, sep: 2, unk: 3 });
  });
});

test("a folder without a tokenizer, and a damaged one, are refused", async () => {
  await mkdir(join(root, "none"));
  await expect(openTokenizer(join(root, "none"))).rejects.toMatchObject({ code: "BACKBONE_INVALID" });
  await writeFile(join(root, "none", "tokenizer.json"), "{}");
  await expect(openTokenizer(join(root, "none"))).rejects.toMatchObject({ code: "BACKBONE_INVALID" });
  await writeFile(join(root, "none", "tokenizer_config.json"), "{");
  await expect(openTokenizer(join(root, "none"))).rejects.toThrow(/tokenizer_config\.json: expected JSON/);
});
