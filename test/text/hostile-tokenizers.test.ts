/** Tokenizers on which the native library crashes or never ends: an error, and this process lives on. */
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadBackbone } from "ptuning/internal/backbones";
import { openTokenizer } from "ptuning/internal/text";
import { afterAll, describe, expect, test } from "vitest";
import { writeTinyBackbone } from "../support/tiny.ts";

type Definition = Record<string, unknown>;

const folders: string[] = [];
const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "ptuning-tokenizer-"));
  folders.push(folder);
  return folder;
};
const cache = newFolder();
const env = { PTUNING_CACHE: cache };
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

const vocab = Object.fromEntries(
  ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c"].map((piece, id) => [piece, id]),
);
const sound: Definition = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "Whitespace" },
  post_processor: null,
  decoder: null,
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab,
  },
};

function folderOf(definition: Definition): string {
  const folder = newFolder();
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(definition));
  return folder;
}

const split = (Regex: string): Definition => ({
  ...sound,
  pre_tokenizer: { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false },
});
const template = (parts: readonly unknown[], tokens: object): Definition => ({
  ...sound,
  post_processor: { type: "TemplateProcessing", single: parts, pair: parts, special_tokens: tokens },
});
const text = { Sequence: { id: "A", type_id: 0 } };

describe("a tokenizer that is not known", () => {
  test("is tried once, and the verdict is kept", async () => {
    const folder = folderOf(sound);
    const { ids } = await (await openTokenizer(folder, { env })).encode(["a b", "c"], 10);
    expect([...ids]).toEqual([4, 5, 6]);
    const kept = readdirSync(join(cache, "tokenizers"));
    expect(kept).toHaveLength(1);
    await openTokenizer(folder, { env });
    expect(readdirSync(join(cache, "tokenizers"))).toEqual(kept);
  });

  test("and is known by its hash is not tried", async () => {
    const folder = folderOf({
      ...sound,
      version: "1.0",
      padding: null,
      decoder: { type: "WordPiece", prefix: "##", cleanup: false },
    });
    const { createHash } = await import("node:crypto");
    const { readFileSync } = await import("node:fs");
    const hash = createHash("sha256")
      .update(readFileSync(join(folder, "tokenizer.json")))
      .digest("hex");
    const before = readdirSync(join(cache, "tokenizers"));
    await openTokenizer(folder, { env, trusted: [hash] });
    expect(readdirSync(join(cache, "tokenizers"))).toEqual(before);
  });

  test.each<[string, Definition]>([
    ["a pattern with nested stars", split("(a+)+$")],
    ["nested stars of a word", split("((ab)+)+$")],
    ["nested stars of letters", split(String.raw`(\p{L}*)*\d$`)],
    ["a token that its template lacks", template([{ SpecialToken: { id: "[NONE]", type_id: 0 } }, text], {})],
    [
      "a normalizer that is none",
      { ...sound, normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } },
    ],
    [
      "normalizers that grow a text without end",
      {
        ...sound,
        normalizer: {
          type: "Sequence",
          normalizers: Array.from({ length: 12 }, () => ({
            type: "Replace",
            pattern: { String: "a" },
            content: "a".repeat(50),
          })),
        },
      },
    ],
    [
      "a vocabulary without its unknown token",
      { ...sound, model: { ...(sound.model as object), vocab: { a: 0 } } },
    ],
    [
      "a template without a text",
      template([{ SpecialToken: { id: "[CLS]", type_id: 0 } }], {
        "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] },
      }),
    ],
  ])(
    "is refused: %s",
    async (_, definition) => {
      const started = performance.now();
      await expect(openTokenizer(folderOf(definition), { env })).rejects.toMatchObject({
        code: "BACKBONE_INVALID",
      });
      expect(performance.now() - started).toBeLessThan(60_000);
    },
    90_000,
  );

  test("100,000 parts of a template are no crash", async () => {
    const cls = { SpecialToken: { id: "[CLS]", type_id: 0 } };
    const parts = [text, ...Array.from({ length: 100_000 }, () => cls)];
    const definition = template(parts, { "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] } });
    await expect(openTokenizer(folderOf(definition), { env })).rejects.toMatchObject({
      code: "BACKBONE_INVALID",
    });
  }, 90_000);

  test.each<string>(["", "null", "[]", "{", `{"model":${"[".repeat(100_000)}${"]".repeat(100_000)}}`])(
    "is refused: %.20s",
    async (content) => {
      const folder = newFolder();
      writeFileSync(join(folder, "tokenizer.json"), content);
      await expect(openTokenizer(folder, { env })).rejects.toMatchObject({ code: "BACKBONE_INVALID" });
    },
    60_000,
  );
});

describe("a backbone whose configuration says more than its weights", () => {
  test.each([
    [{ num_hidden_layers: 2 ** 31 }, /num_hidden_layers/],
    [{ hidden_size: 2 ** 31, num_attention_heads: 1 }, /hidden_size/],
    [{ vocab_size: 2 ** 40 }, /vocab_size/],
    [{ max_position_embeddings: 2 ** 40 }, /max_position_embeddings/],
    [
      { num_hidden_layers: 900 },
      /weight "encoder\.layer\.2\.attention\.self\.query\.weight": expected \[32, 32\], got no such weight/,
    ],
    [
      { hidden_size: 64 },
      /weight "embeddings\.word_embeddings\.weight": expected \[40, 64\], got \[40, 32\]/,
    ],
    [{ vocab_size: 1_000_000 }, /word_embeddings\.weight": expected \[1000000, 32\], got \[40, 32\]/],
    [{ type_vocab_size: 1e9 }, /type_vocab_size/],
  ])("%j is refused", async (change, message) => {
    const folder = newFolder();
    writeTinyBackbone(folder);
    const path = join(folder, "config.json");
    const { readFileSync } = await import("node:fs");
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...change }));
    await expect(loadBackbone(folder)).rejects.toMatchObject({
      code: "BACKBONE_INVALID",
      message: expect.stringMatching(message),
    });
  });
});
