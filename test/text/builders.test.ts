/** Tokenizers that are built where there is no tokenizer.json, beside those of SentencePiece and transformers. */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFiles } from "ptuning/internal/files";
import {
  encodeCloze,
  openTokenizer,
  type PieceSequences,
  parseCloze,
  type Tokenizer,
  tokenizerFingerprint,
} from "ptuning/internal/text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cover, oddTexts } from "../../tools/proofs/support/texts.mjs";

interface Golden {
  /** Ids and, where the reference has any, places of each text. */
  readonly texts: readonly (readonly [ids: number[], places: number[] | null])[];
  /** Ids and types of each text and the one behind it. */
  readonly pairs: readonly (readonly [ids: number[], typeIds: number[]])[];
  /** Ids of each text that comes split at blanks. */
  readonly words: readonly number[][];
}

const goldenFolder = new URL("../golden/tokenizers", import.meta.url).pathname;
const goldens: { readonly longest: number; readonly kinds: Readonly<Record<string, Golden>> } = JSON.parse(
  await readFile(join(goldenFolder, "goldens.json"), "utf8"),
);
const texts = oddTexts.filter(({ length }) => length <= goldens.longest);

/** Vocabularies that are those of another kind. */
const shared: Readonly<Record<string, string>> = {
  "deberta-v2-lower": "deberta-v2/spm.model",
  "deberta-v2-punct": "deberta-v2/spm.model",
  camembert: "xlm-roberta/sentencepiece.bpe.model",
  "bert-cased": "bert/vocab.txt",
  electra: "bert/vocab.txt",
  distilbert: "bert/vocab.txt",
};
/** SentencePiece itself says which places these have. */
const ofSentencePiece = ["deberta-v2", "deberta-v2-options", "xlm-roberta", "camembert"];

/** The accent that z can take stands behind others, where SentencePiece does not look for it. */
const zalgo = "zalgo z\u0335\u0321\u0322\u0338\u0341a\u0340l\u0358";

/** Texts whose ids differ from SentencePiece's, and why. */
const otherIds: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    ["deberta-v2", "deberta-v2-lower", "deberta-v2-bytes", "xlm-roberta", "camembert"].map((kind) => [
      kind,
      [zalgo],
    ]),
  ),
  "deberta-v2-options": [
    zalgo,
    // transformers drops the blanks around special tokens, which a model that keeps blanks would keep.
    "[CLS] [SEP] [MASK] [PAD] [UNK] <s> </s> <mask> <pad> <unk>",
    "[MASK]  after",
    "before   [MASK] after",
  ],
  "deberta-v2-punct": [
    zalgo,
    // Each word gets a ▁, unless it begins with one.
    "▁ already ▁marked Ġ blank",
    // Punctuation is split off behind the rules for characters here, in front of them there: … has become three points.
    "a, b.c ... (d) … e",
    "▁",
  ],
};
/** Texts whose ids are SentencePiece's, but not their places: characters that vanish, become several, or become one. */
const otherPlaces = ["\ufeffbyte order mark", "ﬁ ﬃ ½ ² ™ ① İ ı ß ẞ ǅ Ω Ω", "\u1112\u1161\u11ab글"];

let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ptuning-builders-"));
});
afterAll(() => rm(root, { recursive: true }));

async function folderOf(kind: string): Promise<string> {
  const folder = join(root, `${kind}-${made++}`);
  await cp(join(goldenFolder, kind), folder, { recursive: true });
  const other = shared[kind];
  if (other !== undefined) await cp(join(goldenFolder, other), join(folder, other.split("/")[1]!));
  return folder;
}

const rows = <T extends PieceSequences>(pieces: T, values: (pieces: T) => ArrayLike<number>): number[][] =>
  Array.from({ length: pieces.count }, (_, i) =>
    Array.from(values(pieces)).slice(pieces.starts[i], pieces.starts[i + 1]),
  );

describe.each(Object.keys(goldens.kinds))("%s, as its reference", (kind) => {
  const golden = goldens.kinds[kind]!;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await openTokenizer(await folderOf(kind));
  });

  test("ids and places of odd texts", async () => {
    const pieces = await tokenizer.encodeTexts(texts);
    const [ids, starts, ends] = [
      rows(pieces, (all) => all.ids),
      rows(pieces, (all) => all.charStarts),
      rows(pieces, (all) => all.charEnds),
    ];
    const differing: string[] = [];
    const misplaced: string[] = [];
    for (const [i, text] of texts.entries()) {
      const [theirIds, theirPlaces] = golden.texts[i]!;
      if (`${ids[i]}` !== `${theirIds}`) differing.push(text);
      else if (theirPlaces !== null) {
        const places = starts[i]!.flatMap((start, k) => {
          const end = ends[i]![k]!;
          return ofSentencePiece.includes(kind) ? cover(text, start, end) : [start, end];
        });
        if (`${places}` !== `${theirPlaces}`) misplaced.push(text);
      }
    }
    expect(differing).toEqual(otherIds[kind] ?? []);
    expect(misplaced).toEqual(ofSentencePiece.includes(kind) ? otherPlaces : []);
  });

  test("ids and types of pairs, ids of words", async () => {
    const others = otherIds[kind] ?? [];
    for (const [i, [theirIds, theirTypes]] of golden.pairs.entries()) {
      const pair = [texts[i]!, texts[i + 1]!] as const;
      if (pair.some((text) => others.includes(text))) continue;
      const { ids, typeIds } = await tokenizer.encode([pair], 100_000);
      expect([[...ids], [...typeIds]], JSON.stringify(pair)).toEqual([theirIds, theirTypes]);
    }
    const kept = texts
      .map((text, i) => [text, golden.words[i]!] as const)
      .filter(([text]) => !others.includes(text));
    const words = await tokenizer.encodeWords(kept.map(([text]) => text.split(" ")));
    expect(rows(words, ({ ids }) => ids)).toEqual(kept.map(([, ids]) => ids));
  });
});

/** A folder with these files. */
async function written(files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = join(root, `written-${made++}`);
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) {
    const isRaw = typeof content === "string" || content instanceof Uint8Array;
    await writeFile(join(folder, name), isRaw ? content : JSON.stringify(content));
  }
  return folder;
}

const alphabet: string[] = createRequire(import.meta.url)("tokenizers")
  .byteLevelAlphabet()
  .sort();

/** Byte-level BPE over single bytes, and words with a blank in front. */
function bytePieces(first: readonly string[], words: readonly string[], last: readonly string[] = []) {
  const merges = words.flatMap((word) => {
    const letters = [...`Ġ${word}`];
    return letters.slice(1).map((letter, i) => `${letters.slice(0, i + 1).join("")} ${letter}`);
  });
  const pieces = [...first, ...alphabet, ...new Set(merges.map((merge) => merge.replace(" ", ""))), ...last];
  return {
    pieces,
    files: {
      "vocab.json": Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      "merges.txt": `#version: 0.2\n${[...new Set(merges)].join("\n")}\n`,
    },
  };
}

describe("GLM", () => {
  const { pieces, files } = bytePieces([], ["is", "great", "Paris"], ["<|endoftext|>"]);
  const names = [
    "<|startofpiece|>",
    "<|endofpiece|>",
    "[CLS]",
    "[MASK]",
    "[SEP]",
    "[UNUSED]",
    "[gMASK]",
    "[sMASK]",
  ];
  const added = Object.fromEntries(names.map((name, i) => [name, pieces.length + i]));
  const id = (piece: string): number => added[piece] ?? pieces.indexOf(piece);
  const glm = { "config.json": { model_type: "glm" }, ...files, "added_tokens.json": added };
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await openTokenizer(await written(glm));
  });
  const idsOf = async (text: string): Promise<number[]> => [...(await tokenizer.encodeTexts([text])).ids];

  test("puts [CLS] in front and the end of a text behind, [SEP] between two texts, and has no types", async () => {
    const [cls, sep, end] = ["[CLS]", "[SEP]", "<|endoftext|>"].map(id);
    const { ids, typeIds, starts } = await tokenizer.encode(["a is", ["a", "b"]], 100);
    expect([...ids]).toEqual([cls, id("a"), id("Ġis"), end, cls, id("a"), sep, id("b"), end]);
    expect([...typeIds]).toEqual(Array(9).fill(0));
    expect([...starts]).toEqual([0, 4, 9]);
    const start = id("<|startofpiece|>");
    expect(tokenizer.specialTokens).toEqual({ cls, sep, pad: end, unk: end, mask: id("[MASK]"), start });
  });

  test("knows what opens an answer also where the folder has a whole tokenizer, and no other kind has it", async () => {
    const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    const whole = {
      ...{
        version: "1.0",
        truncation: null,
        padding: null,
        normalizer: null,
        post_processor: null,
        decoder: null,
      },
      added_tokens: [{ id: 2, content: "<|startofpiece|>", ...special }],
      pre_tokenizer: { type: "Whitespace" },
      model: { type: "WordLevel", vocab: { "[UNK]": 0, a: 1, "<|startofpiece|>": 2 }, unk_token: "[UNK]" },
    };
    const opened = async (modelType: string): Promise<Tokenizer> =>
      openTokenizer(await written({ "config.json": { model_type: modelType }, "tokenizer.json": whole }));
    expect((await opened("glm")).specialTokens).toEqual({ unk: 0, start: 2 });
    expect((await opened("bert")).specialTokens).toEqual({ unk: 0 });
  });

  test("a template with a mask opens with it, and the mask is marked in the text behind", async () => {
    const cloze = parseCloze("{text} is {mask}.");
    const [cls, end, start, mask] = ["[CLS]", "<|endoftext|>", "<|startofpiece|>", "[MASK]"].map(id);
    const encoded = await encodeCloze(tokenizer, cloze, ["a", "bb"], { maxLength: 7, masks: [1] });
    expect([...encoded.ids.subarray(0, 7)]).toEqual([start, cls, id("a"), id("Ġis"), mask, id("."), end]);
    expect([...encoded.typeIds]).toEqual(Array(14).fill(0));
    // The second text is cut to the one token that there is room for.
    expect([...encoded.ids.subarray(7)]).toEqual([start, cls, id("b"), id("Ġis"), mask, id("."), end]);
    expect([encoded.truncated, ...encoded.cut]).toEqual([1, 0, 1]);
    expect(encoded.marks).toMatchObject({ most: 1, positions: Int32Array.of(4, 4) });
    const tooShort = encodeCloze(tokenizer, cloze, ["a"], { maxLength: 5, masks: [1] });
    await expect(tooShort).rejects.toThrow("maxLength: expected at least 6 tokens for the template alone");
    // Nothing is asked of a template without a mask.
    const plain = await encodeCloze(tokenizer, parseCloze("{text} is"), ["a"], { maxLength: 9 });
    expect([...plain.ids]).toEqual([cls, id("a"), id("Ġis"), end]);
  });

  test("masks take the blank on their left, and leave the one on their right", async () => {
    for (const mask of ["[MASK]", "[gMASK]", "[sMASK]"]) {
      expect(await idsOf(`a ${mask} is`)).toEqual([id("a"), id(mask), id("Ġis")]);
      expect(await idsOf(`a  ${mask}is`)).toEqual([id("a"), id(mask), id("i"), id("s")]);
    }
  });

  test("other added tokens leave blanks, and are found inside words", async () => {
    expect(await idsOf("a [SEP] is")).toEqual([id("a"), id("Ġ"), id("[SEP]"), id("Ġis")]);
    expect(await idsOf("a<|startofpiece|> Paris<|endofpiece|>")).toEqual([
      id("a"),
      id("<|startofpiece|>"),
      id("ĠParis"),
      id("<|endofpiece|>"),
    ]);
    expect(await idsOf("a<|endoftext|>")).toEqual([id("a"), id("<|endoftext|>")]);
  });

  test("words have a blank in front, also the first", async () => {
    expect([...(await tokenizer.encodeWords([["is", "great"]])).ids]).toEqual([id("Ġis"), id("Ġgreat")]);
  });

  test("needs its added tokens, with ids that follow the vocabulary's", async () => {
    const { "added_tokens.json": _, ...without } = glm;
    await expect(openTokenizer(await written(without))).rejects.toThrow(/found no added_tokens\.json/);
    const gap = { ...glm, "added_tokens.json": { ...added, "[sMASK]": 60_000 } };
    await expect(openTokenizer(await written(gap))).rejects.toThrow(
      `added_tokens.json: "[sMASK]": expected id ${added["[sMASK]"]}, got 60000`,
    );
  });
});

describe("which tokenizer it is", () => {
  const words = ["a", "b", "un", "##able"];
  const mpnetVocabulary = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    ...words,
    "<mask>",
  ];
  const vocabulary = (pieces: readonly string[]): string => `${pieces.join("\n")}\n`;

  test("MPNet has RoBERTa's special tokens, though its vocabulary has BERT's too", async () => {
    const files = { "config.json": { model_type: "mpnet" }, "vocab.txt": vocabulary(mpnetVocabulary) };
    const tokenizer = await openTokenizer(await written(files));
    const id = (piece: string): number => mpnetVocabulary.indexOf(piece);
    expect(tokenizer.specialTokens).toEqual({ cls: 0, pad: 1, sep: 2, unk: 5, mask: id("<mask>") });
    const { ids, typeIds } = await tokenizer.encode(["Unable z <mask>", ["a", "b"]], 100);
    expect([...ids]).toEqual([0, id("un"), id("##able"), 5, id("<mask>"), 2, 0, id("a"), 2, 2, id("b"), 2]);
    expect([...typeIds]).toEqual(Array(12).fill(0));
    // BERT's own tokens are text here.
    expect([...(await tokenizer.encodeTexts(["[CLS]"])).ids]).toEqual([5, 5, 5]);
  });

  test("its tokenizer.json goes before what could be built, with the special tokens of its kind", async () => {
    const folder = await written({
      "config.json": { model_type: "mpnet" },
      "vocab.txt": vocabulary(mpnetVocabulary),
    });
    const own = await openTokenizer(folder);
    const whole = {
      version: "1.0",
      added_tokens: [],
      pre_tokenizer: { type: "Whitespace" },
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(mpnetVocabulary.map((piece, id) => [piece, id])),
      },
    };
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(whole));
    const tokenizer = await openTokenizer(folder);
    expect(tokenizer.addedTokens).toEqual({ single: 0, pair: 0 });
    expect(tokenizer.specialTokens).toEqual(own.specialTokens);
  });

  test("special tokens of another kind than its model_type are found too", async () => {
    const pieces = ["<s>", "<pad>", "</s>", "<unk>", "a"];
    const whole = {
      version: "1.0",
      added_tokens: [],
      pre_tokenizer: { type: "Whitespace" },
      model: {
        type: "WordLevel",
        unk_token: "<unk>",
        vocab: Object.fromEntries(pieces.map((text, id) => [text, id])),
      },
    };
    const files = { "config.json": { model_type: "bert" }, "tokenizer.json": whole };
    expect((await openTokenizer(await written(files))).specialTokens).toEqual({
      cls: 0,
      pad: 1,
      sep: 2,
      unk: 3,
    });
  });

  test("tokenizer_class goes before model_type, and a class that nobody knows does not count", async () => {
    const model = await readFile(join(goldenFolder, "xlm-roberta/sentencepiece.bpe.model"));
    const expected = await openTokenizer(await folderOf("xlm-roberta"));
    const texts = ["Hello, world", "½ a"];
    const { ids } = await expected.encode(texts, 100);
    for (const files of [
      { "config.json": { model_type: "bert", tokenizer_class: "XLMRobertaTokenizer" } },
      {
        "config.json": { model_type: "bert" },
        "tokenizer_config.json": { tokenizer_class: "XLMRobertaTokenizerFast" },
      },
      {
        "config.json": { model_type: "xlm-roberta" },
        "tokenizer_config.json": { tokenizer_class: "PreTrainedTokenizerFast" },
      },
    ]) {
      const tokenizer = await openTokenizer(await written({ ...files, "sentencepiece.bpe.model": model }));
      expect((await tokenizer.encode(texts, 100)).ids).toEqual(ids);
    }
  });

  test("what is missing, and kinds that nobody knows, are named", async () => {
    const vocab = vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"]);
    const refusal = async (files: Record<string, unknown>): Promise<unknown> =>
      openTokenizer(await written(files)).catch((error: unknown) => error);
    expect(await refusal({ "config.json": { model_type: "deberta-v2" }, "vocab.txt": vocab })).toMatchObject({
      code: "BACKBONE_INVALID",
      message: expect.stringMatching(/found no spm\.model or spiece\.model or sentencepiece\.bpe\.model/),
    });
    expect(await refusal({ "config.json": { model_type: "deberta" }, "vocab.json": {} })).toMatchObject({
      message: expect.stringMatching(/vocab\.json with merges\.txt, found no merges\.txt/),
    });
    expect(await refusal({ "config.json": { model_type: "mamba" }, "vocab.txt": vocab })).toMatchObject({
      message: expect.stringMatching(/model_type "mamba"/),
    });
  });
});

describe("special tokens of the settings", () => {
  const pieces = ["[PAD]", "[UNK]", "<cls>", "[SEP]", "[MASK]", "a", "b", "new"];
  const bert = { "config.json": { model_type: "bert" }, "vocab.txt": `${pieces.join("\n")}\n` };

  test("have the names that special_tokens_map.json or tokenizer_config.json give them", async () => {
    for (const name of ["special_tokens_map.json", "tokenizer_config.json"]) {
      const tokenizer = await openTokenizer(await written({ ...bert, [name]: { cls_token: "<cls>" } }));
      expect(tokenizer.specialTokens.cls).toBe(2);
      expect([...tokenizer.assemble([5]).ids]).toEqual([2, 5, 3]);
    }
    await expect(openTokenizer(await written(bert))).rejects.toThrow(
      /vocab\.txt: expected the cls token "\[CLS\]", it has none/,
    );
  });

  test("are found in a text as their flags say", async () => {
    const mask = { content: "[MASK]", lstrip: true, rstrip: true, normalized: false, single_word: true };
    const files = { ...bert, "special_tokens_map.json": { cls_token: "<cls>", mask_token: mask } };
    const tokenizer = await openTokenizer(await written(files));
    const { ids, charStarts, charEnds } = await tokenizer.encodeTexts(["a [MASK]  b"]);
    expect([...ids]).toEqual([5, 4, 6]);
    expect([charStarts[1], charEnds[1]]).toEqual([1, 10]);
  });

  test("and those that were added stand behind the vocabulary", async () => {
    const settings = { cls_token: "<cls>", additional_special_tokens: ["<one>", { content: "<two>" }] };
    const added = { "<one>": 8, "<two>": 9, NEW: 10 };
    const byId = Object.fromEntries(
      Object.entries(added).map(([content, id]) => [
        id,
        { content, special: id < 10, normalized: id === 10 },
      ]),
    );
    for (const more of [
      { "tokenizer_config.json": settings, "added_tokens.json": added },
      { "tokenizer_config.json": { ...settings, added_tokens_decoder: byId } },
    ]) {
      const tokenizer = await openTokenizer(await written({ ...bert, ...more }));
      // What is special is found as written; what is not, in the normalised text.
      expect([...(await tokenizer.encodeTexts(["a<one>b<two> nEw <ONE>"])).ids]).toEqual([
        5, 8, 6, 9, 10, 1, 1, 1,
      ]);
    }
  });

  test("DeBERTa's mask stands behind a vocabulary that lacks it, and takes the blank in front of it in v1", async () => {
    const v2 = await openTokenizer(await folderOf("deberta-v2"));
    const v1 = await openTokenizer(await folderOf("deberta"));
    const [, last] = [v1, v2].map(({ specialTokens }) => specialTokens.mask!);
    expect(last).toBe(420);
    const { charStarts, ids } = await v1.encodeTexts(["a [MASK]"]);
    expect([ids.at(-1), charStarts.at(-1)]).toEqual([v1.specialTokens.mask, 1]);
  });
});

test("the fingerprint sees what a tokenizer is built from, and only that", async () => {
  const folder = await folderOf("deberta-v2");
  const seen = new Set([await tokenizerFingerprint(diskFiles(folder))]);
  const model = await readFile(join(folder, "spm.model"));
  const expectNew = async (): Promise<void> => {
    const fingerprint = await tokenizerFingerprint(diskFiles(folder));
    expect(seen).not.toContain(fingerprint);
    seen.add(fingerprint);
  };
  model[model.length - 1]! ^= 1;
  await writeFile(join(folder, "spm.model"), model);
  await expectNew();
  for (const settings of [
    { split_by_punct: true },
    { additional_special_tokens: ["<new>"] },
    { added_tokens_decoder: { 420: { content: "[MASK]", lstrip: true } } },
    { tokenizer_class: "AlbertTokenizer" },
  ]) {
    await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(settings));
    await expectNew();
  }
  await writeFile(join(folder, "added_tokens.json"), '{"[MASK]": 420}');
  await expectNew();
  await writeFile(join(folder, "tokenizer.json"), "{}");
  await expectNew();
  const before = await tokenizerFingerprint(diskFiles(folder));
  for (const file of ["spm.model", "added_tokens.json"]) await rm(join(folder, file));
  expect(await tokenizerFingerprint(diskFiles(folder))).toBe(before);
});
