/** Tokenizers that know more tokens than their backbone has vectors for. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { embedTexts } from "ptuning/internal/predict";
import { train } from "ptuning/internal/train";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { words } from "../../tools/bert.mjs";
import { tinyData, tinyOptions, writeTinyBackbone } from "../support/tiny.ts";

const [vectors, tokens] = [30, 40];
const beyond = { code: "BACKBONE_INVALID", message: expect.stringMatching(/vocab_size 30, got token 3\d /) };

describe("a vocabulary of 40 beside a table of 30", () => {
  let folder: string;
  let backbone: Backbone;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ptuning-vocabulary-"));
    writeTinyBackbone(folder, 1, { vocab: vectors });
    await writeFile(join(folder, "vocab.txt"), `${words(tokens).join("\n")}\n`);
    backbone = await loadBackbone(folder, { engine: nodeEngine({ threads: 1 }) });
  });
  afterAll(async () => {
    await backbone.close();
    await rm(folder, { recursive: true });
  });

  test("answers where all tokens have a vector, the last one included", async () => {
    // w24 is token 29: five special tokens stand in front.
    const { ids } = await backbone.tokenizer.encode(["w1 w24", "unheard-of"], 8);
    expect(Math.max(...ids)).toBe(vectors - 1);
    expect(await embedTexts(["w1 w24"], backbone)).toHaveLength(1);
  });

  test("refuses the first beyond, in texts, pairs, words and their parts", async () => {
    const { tokenizer } = backbone;
    await expect(tokenizer.encode(["w1", "w2 w25"], 8)).rejects.toMatchObject(beyond);
    await expect(tokenizer.encode([["w1", "w30"]], 8)).rejects.toMatchObject(beyond);
    await expect(tokenizer.encodeWords([["w1", "w33"]])).rejects.toMatchObject(beyond);
    await expect(tokenizer.encodeTexts(["w34"])).rejects.toMatchObject(beyond);
    expect(() => tokenizer.assemble([6, vectors])).toThrow(/got token 30 from its tokenizer/);
    await expect(embedTexts(["w34"], backbone)).rejects.toMatchObject(beyond);
  });

  test("is no backbone for such data, before the first step", async () => {
    const data = { ...tinyData, train: [...tinyData.train, { text: "w34", label: "class 0" }] };
    await expect(train(tinyOptions(backbone, { data })).next()).rejects.toMatchObject(beyond);
  });
});

test("special tokens without a vector are none: a mask that was added to the tokenizer alone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ptuning-vocabulary-"));
  writeTinyBackbone(folder, 1, { vocab: vectors });
  const [mask] = words(5).slice(-1) as [string];
  const others = words(vectors + 1).filter((word: string) => word !== mask);
  await writeFile(join(folder, "vocab.txt"), `${[...others, mask].join("\n")}\n`);
  await using backbone = await loadBackbone(folder, { engine: nodeEngine({ threads: 1 }) });
  expect(backbone.tokenizer.specialTokens.mask).toBeUndefined();
  expect((await backbone.tokenizer.encode(["w1"], 8)).ids).toHaveLength(3);
  await rm(folder, { recursive: true });
});

test("padding without a vector is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ptuning-vocabulary-"));
  writeTinyBackbone(folder, 1, { vocab: vectors });
  const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...config, pad_token_id: vectors }));
  await expect(loadBackbone(folder, { engine: nodeEngine({ threads: 1 }) })).rejects.toMatchObject({
    code: "BACKBONE_INVALID",
    message: expect.stringMatching(/pad_token_id: expected a token below vocab_size 30, got 30\.$/),
  });
  await rm(folder, { recursive: true });
});
