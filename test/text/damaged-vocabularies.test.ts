/** Vocabularies that are damaged or made to harm: refused, with the file and the place in it. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { PtuningError } from "ptuning/internal/core";
import { openTokenizer } from "ptuning/internal/text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ptuning-damaged-"));
});
afterAll(() => rm(root, { recursive: true }));

async function open(files: Readonly<Record<string, unknown>>): Promise<unknown> {
  const folder = join(root, String(made++));
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) {
    const isRaw = typeof content === "string" || content instanceof Uint8Array;
    await writeFile(join(folder, name), isRaw ? content : JSON.stringify(content));
  }
  return openTokenizer(folder, { env: { PTUNING_CACHE: join(root, "cache") } }).catch(
    (error: unknown) => error,
  );
}

async function expectRefusal(
  files: Readonly<Record<string, unknown>>,
  message: string | RegExp,
): Promise<void> {
  const error = await open(files);
  expect(error).toBeInstanceOf(PtuningError);
  expect(error).toMatchObject({ code: "BACKBONE_INVALID" });
  if (typeof message === "string") expect((error as Error).message).toContain(message);
  else expect((error as Error).message).toMatch(message);
}

type Entry = readonly [text: string | Uint8Array, score: number, type: number];

function piece([text, score, type]: Entry): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited);
  if (typeof text === "string") writer.string(text);
  else writer.bytes(text);
  return writer.tag(2, WireType.Bit32).float(score).tag(3, WireType.Varint).int32(type).finish();
}

interface Fields {
  readonly pieces?: readonly Entry[];
  readonly trainer?: (writer: BinaryWriter) => BinaryWriter;
  readonly normalizer?: (writer: BinaryWriter) => BinaryWriter;
}

const usual: readonly Entry[] = [
  ["[PAD]", 0, 3],
  ["[CLS]", 0, 3],
  ["[SEP]", 0, 3],
  ["[UNK]", 0, 2],
  ["\u2581", -2, 1],
  ["a", -3, 1],
  ["\u2581a", -1.5, 1],
];

function model({ pieces = usual, trainer, normalizer }: Fields = {}): Uint8Array {
  const writer = new BinaryWriter();
  for (const entry of pieces) writer.tag(1, WireType.LengthDelimited).bytes(piece(entry));
  if (trainer) writer.tag(2, WireType.LengthDelimited).bytes(trainer(new BinaryWriter()).finish());
  if (normalizer) writer.tag(3, WireType.LengthDelimited).bytes(normalizer(new BinaryWriter()).finish());
  return writer.finish();
}

const config = { "config.json": { model_type: "deberta-v2" } };
const withModel = (bytes: Uint8Array): Record<string, unknown> => ({ ...config, "spm.model": bytes });

test("the model that the cases below damage is sound", async () => {
  expect(await open(withModel(model()))).toMatchObject({ specialTokens: { cls: 1, unk: 3, mask: 7 } });
});

describe("a SentencePiece model", () => {
  const varint = (field: number, value: number) => (writer: BinaryWriter) =>
    writer.tag(field, WireType.Varint).int32(value);

  test.each<[string, Uint8Array, string | RegExp]>([
    [
      "without bytes",
      new Uint8Array(),
      "spm.model: expected a SentencePiece model, got a file without pieces",
    ],
    [
      "of other bytes",
      Buffer.from("version https://git-lfs.github.com/spec/v1\n"),
      /spm\.model: byte \d+: expected a Sent/,
    ],
    ["cut inside a piece", model().subarray(0, 30), /spm\.model: byte \d+: .*damaged/],
    ["with a length beyond its end", Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), /byte 0: .*damaged/],
    // Minus one, as protobuf writes it in ten bytes.
    ["with a negative length", Uint8Array.of(0x0a, ...Array(9).fill(0xff), 0x01), /byte 0: .*damaged/],
    ["with a number without end", Uint8Array.of(0x0a, ...Array(12).fill(0xff)), /byte 0: .*damaged/],
    ["with field 0", Uint8Array.of(0x02, 0x00), /byte 0: .*damaged/],
    ["whose groups are nested deeply", new Uint8Array(100_000).fill(0x2b), /byte 0: .*damaged/],
    ["with a piece that is a number", Uint8Array.of(0x08, 0x01), /byte 0: .*field 1 has wire type 0/],
    [
      "without an unknown piece",
      model({ pieces: usual.map(([text, score]) => [text, score, 1]) }),
      "piece of type unknown, got none",
    ],
    [
      "with two unknown pieces",
      model({ pieces: [...usual, ["?", 0, 2]] }),
      "one piece of type unknown, got pieces 3 and 7",
    ],
    [
      "whose unk_id is another",
      model({ trainer: varint(40, 5) }),
      "expected unk_id 3, the piece of type unknown, got 5",
    ],
    [
      "with a piece twice",
      model({ pieces: [...usual, ["a", -4, 1]] }),
      'piece 7: expected another than piece 5, got "a" again',
    ],
    [
      "with an empty piece",
      model({ pieces: [...usual, ["", -4, 1]] }),
      /piece 7 \(byte \d+\): expected a text, got an empty one/,
    ],
    [
      "with a piece that is no UTF-8",
      model({ pieces: [...usual, [Uint8Array.of(0xff, 0xfe), -4, 1]] }),
      /piece 7 \(byte \d+\): expected text in UTF-8/,
    ],
    [
      "with a piece as long as a text",
      model({ pieces: [...usual, ["x".repeat(5000), -4, 1]] }),
      /piece 7 .*at most 4096 characters, got 5000/,
    ],
    [
      "with a score that is no number",
      model({ pieces: [...usual, ["b", Number.NaN, 1]] }),
      /piece 7 .*expected a finite score, got NaN/,
    ],
    [
      "with an infinite score",
      model({ pieces: [...usual, ["b", Number.NEGATIVE_INFINITY, 1]] }),
      /piece 7 .*finite score, got -Infinity/,
    ],
    [
      "with a piece of no type",
      model({ pieces: [...usual, ["b", -4, 9]] }),
      /piece 7 .*expected a type from 1 to 6, got 9/,
    ],
    ["of BPE", model({ trainer: varint(3, 2) }), "expected a unigram model (model_type 1), got BPE"],
    ["of no type", model({ trainer: varint(3, -1) }), "model_type -1"],
    ["with blanks behind words", model({ trainer: varint(24, 1) }), "treat_whitespace_as_suffix"],
    ["that keeps blanks", model({ normalizer: varint(5, 0) }), "escape_whitespaces"],
    [
      "with a charsmap shorter than it says",
      model({
        normalizer: (writer) => writer.tag(2, WireType.LengthDelimited).bytes(Uint8Array.of(8, 0, 0, 0, 1)),
      }),
      "precompiled_charsmap: expected a trie within its 5 bytes, got 8 bytes",
    ],
    [
      "with a charsmap of two bytes",
      model({ normalizer: (writer) => writer.tag(2, WireType.LengthDelimited).bytes(Uint8Array.of(8, 0)) }),
      "precompiled_charsmap: expected a trie within its 2 bytes, got no bytes",
    ],
    [
      "without the tokens of its kind",
      model({ pieces: usual.slice(2) }),
      /spm\.model: expected the cls token "\[CLS\]"/,
    ],
  ])("%s is refused", async (_, bytes, message) => {
    await expectRefusal(withModel(bytes), message);
  });

  test("with a charsmap that points nowhere is refused or harmless", async () => {
    const trie = new Uint8Array(4 + 4 * 256).fill(0xff);
    trie.set([0, 4, 0, 0]);
    const charsMap = (writer: BinaryWriter): BinaryWriter =>
      writer.tag(2, WireType.LengthDelimited).bytes(trie);
    const found = await open(withModel(model({ normalizer: charsMap })));
    if (found instanceof Error) expect(found).toMatchObject({ code: "BACKBONE_INVALID" });
    else expect(found).toHaveProperty("encode");
  });

  test("with any byte changed or any end is refused, or a tokenizer", async () => {
    const golden = new URL("../golden/tokenizers/deberta-v2/spm.model", import.meta.url);
    const bytes = await readFile(golden);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (at, flip, cut) => {
          const changed = Buffer.from(cut ? bytes.subarray(0, at) : bytes);
          if (!cut) changed[at]! ^= flip;
          const found = await open(withModel(changed));
          if (found instanceof Error)
            expect(found).toMatchObject({ name: "PtuningError", code: "BACKBONE_INVALID" });
        },
      ),
      { numRuns: 12 },
    );
  }, 120_000);

  test("that is a folder is refused", async () => {
    const folder = join(root, "folders");
    await mkdir(join(folder, "spm.model"), { recursive: true });
    await writeFile(join(folder, "config.json"), JSON.stringify(config["config.json"]));
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      code: "BACKBONE_INVALID",
      message: expect.stringContaining("spm.model: expected a "),
    });
  });

  test("of XLM-RoBERTa begins with its own three pieces", async () => {
    const files = { "config.json": { model_type: "xlm-roberta" }, "sentencepiece.bpe.model": model() };
    await expectRefusal(files, "expected the pieces <unk>, <s>, </s> first, got [PAD], [CLS], [SEP]");
  });
});

describe("vocab.json and merges.txt", () => {
  const pieces = ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "ab", "<mask>"];
  const vocab: Record<string, unknown> = Object.fromEntries(pieces.map((text, id) => [text, id]));
  const roberta = {
    "config.json": { model_type: "roberta" },
    "vocab.json": vocab,
    "merges.txt": "#version: 0.2\na b\n",
  };

  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    [
      "a merge of a piece that there is not",
      { "merges.txt": "#version: 0.2\na b\nb c\n" },
      'merges.txt:3: expected pieces of vocab.json ("c" is none), got "b c"',
    ],
    [
      "a merge that makes no piece",
      { "merges.txt": "b a\n" },
      'merges.txt:1: expected pieces of vocab.json ("ba" is none)',
    ],
    [
      "a merge of three",
      { "merges.txt": "a b\na b a\n" },
      "merges.txt:2: expected two pieces with a blank between them",
    ],
    ["a merge of one", { "merges.txt": "ab\n" }, "merges.txt:1: expected two pieces"],
    ["a merge twice", { "merges.txt": "a b\na b\n" }, "merges.txt:2: expected another pair than in line 1"],
    [
      "merges that are no text",
      { "merges.txt": Uint8Array.of(0x61, 0x20, 0xff) },
      "merges.txt: expected UTF-8",
    ],
    [
      "an id that is a text",
      { "vocab.json": { ...vocab, b: "5" } },
      'vocab.json: "b": expected an id, got "5"',
    ],
    ["an id below zero", { "vocab.json": { ...vocab, b: -1 } }, 'vocab.json: "b": expected an id, got -1'],
    ["a broken id", { "vocab.json": { ...vocab, b: 1.5 } }, 'vocab.json: "b": expected an id, got 1.5'],
    [
      "an id that no integer holds",
      { "vocab.json": { ...vocab, b: 2 ** 40 } },
      'vocab.json: "b": expected an id',
    ],
    [
      "an id twice",
      { "vocab.json": { ...vocab, c: 4 } },
      'vocab.json: "c": expected an id of its own, got 4, the id of "a"',
    ],
    [
      "a piece twice",
      { "vocab.json": '{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "ab": 6, "a": 7}' },
      'vocab.json: "a": expected one id, got two',
    ],
    [
      "an added token twice",
      { "added_tokens.json": '{"<new>": 8, "<new>": 9}' },
      '"<new>": expected one id, got two',
    ],
    [
      "other bytes than UTF-8",
      { "vocab.json": Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x30, 0x7d) },
      "vocab.json: expected UTF-8",
    ],
    ["a list", { "vocab.json": pieces }, "vocab.json: expected a JSON object"],
    ["half a file", { "vocab.json": '{"a": 1' }, "vocab.json: expected JSON"],
    [
      "no [CLS]",
      { "vocab.json": { a: 0, b: 1, ab: 2 } },
      'vocab.json: expected the sep token "</s>", it has none',
    ],
    [
      "added tokens that are a list",
      { "added_tokens.json": [] },
      "added_tokens.json: expected a JSON object",
    ],
    [
      "an added token without an id",
      { "added_tokens.json": { "<new>": null } },
      'added_tokens.json: "<new>": expected an id, got null',
    ],
    [
      "an added token with an id of the vocabulary",
      { "added_tokens.json": { "<new>": 4 } },
      'added_tokens.json: "<new>": expected id 8, got 4',
    ],
    [
      "a piece with another id among the added",
      { "added_tokens.json": { "<mask>": 9 } },
      'added_tokens.json: "<mask>": expected id 7, got 9',
    ],
    [
      "an added token that contradicts the settings",
      { "tokenizer_config.json": { added_tokens_decoder: { "9": { content: "<new>" } } } },
      'tokenizer_config.json: "<new>": expected id 8, got 9',
    ],
  ])("%s is refused", async (_, files, message) => {
    await expectRefusal({ ...roberta, ...files }, message);
  });
});

describe("vocab.txt", () => {
  test("a piece twice is refused, with both lines", async () => {
    const files = {
      "config.json": { model_type: "bert" },
      "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\na\n",
    };
    await expectRefusal(files, 'vocab.txt:7: expected another piece than in line 5, got "a" again');
  });

  test("other bytes than UTF-8 are refused", async () => {
    const bytes = Buffer.from("[PAD]\n[UNK]\n[CLS]\n[SEP]\n\u00ff\n", "latin1");
    await expectRefusal(
      { "config.json": { model_type: "bert" }, "vocab.txt": bytes },
      "vocab.txt: expected UTF-8",
    );
  });

  test("lines end as Windows, Unix and old Macintosh end them", async () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", ""].join(end);
      const tokenizer = await open({ "config.json": { model_type: "bert" }, "vocab.txt": vocabulary });
      expect(tokenizer).toMatchObject({ specialTokens: { pad: 0, unk: 1, cls: 2, sep: 3 } });
    }
  });
});
