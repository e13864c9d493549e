/** Tokens of every text under ../shared/data, and of odd texts, beside those of the Python library. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { locateBackbone } from "ptuning/internal/backbones";
import { openTokenizer, type PieceSequences, type TextInput, type Tokenizer } from "ptuning/internal/text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { everyText, oddTexts } from "../../tools/proofs/support/texts.mjs";
import { referencePython } from "../../tools/reference/run.mjs";
import { has, isThorough, repository, sharedData } from "../support/requirements.ts";

/** As in tools/reference/tokens.py. */
const [chunkSize, pairLength, pairEvery] = [256, 128, 8];

type Arrays = Readonly<Record<string, Int32Array>>;

async function chunkArrays(
  tokenizer: Tokenizer,
  texts: readonly string[],
  seen: Set<string>,
  withPairs: boolean,
): Promise<Arrays> {
  const lengths = ({ starts }: Pick<PieceSequences, "starts">): Int32Array =>
    starts.slice(1).map((end, i) => end - starts[i]!);
  const pairTexts = texts.map((text, i): TextInput => [text, texts[(i + 1) % texts.length]!]);
  const sentences = texts.map((text) => {
    const words = text.split(" ").filter((word) => !seen.has(word));
    for (const word of words) seen.add(word);
    return words;
  });
  const [pairs, whole, words] = await Promise.all([
    tokenizer.encode(withPairs ? pairTexts : [], pairLength),
    tokenizer.encodeTexts(texts),
    tokenizer.encodeWords(sentences),
  ]);
  return {
    "pair lengths": lengths(pairs),
    "pair ids": pairs.ids,
    "pair type ids": Int32Array.from(pairs.typeIds),
    "text lengths": lengths(whole),
    "text ids": whole.ids,
    "text offsets": Int32Array.from({ length: 2 * whole.ids.length }, (_, i) =>
      i % 2 === 0 ? whole.charStarts[i / 2]! : whole.charEnds[(i - 1) / 2]!,
    ),
    "word piece counts": lengths(words),
    "word piece ids": words.ids,
    "word ids": words.wordIds,
  };
}

function python(...args: readonly string[]): void {
  const script = `${repository}tools/reference/tokens.py`;
  const { status, stderr } = spawnSync(referencePython(), [script, ...args], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
}

async function writeTexts(path: string, texts: readonly string[]): Promise<void> {
  await writeFile(path, texts.map((text) => `${JSON.stringify(text)}\n`).join(""));
}

describe.skipIf(!has.python || !has.data)("tokens are those of the Python library", () => {
  let folder: string;
  let texts: string[];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ptuning-tokens-"));
    texts = [...oddTexts, ...everyText(sharedData)].filter((_, i) => isThorough || i % 20 === 0);
    await writeTexts(join(folder, "texts.jsonl"), texts);
    await writeTexts(
      join(folder, "sample.jsonl"),
      texts.filter((text, i) => i % 40 === 0 && text.length < 1000),
    );
    python("train", folder, join(folder, "sample.jsonl"));
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true }));

  const places = {
    WordPiece: async () => {
      const { folder: backbone } = await locateBackbone("minilm", { offline: true });
      return { ours: backbone, theirs: join(backbone, "tokenizer.json") };
    },
    "WordPiece from vocab.txt": async () => {
      const { folder: backbone } = await locateBackbone("minilm", { offline: true });
      const ours = join(folder, "vocabulary");
      await mkdir(ours, { recursive: true });
      await writeFile(join(ours, "vocab.txt"), await readFile(join(backbone, "vocab.txt")));
      return { ours, theirs: join(backbone, "tokenizer.json") };
    },
    "byte-level BPE": async () => ({
      ours: join(folder, "byte-level"),
      theirs: join(folder, "byte-level.json"),
    }),
    Unigram: async () => ({
      ours: join(folder, "unigram"),
      theirs: join(folder, "unigram/tokenizer.json"),
    }),
  };

  async function compare(place: keyof typeof places, compared: readonly string[]): Promise<void> {
    const { ours, theirs } = await places[place]();
    const tokenizer = await openTokenizer(ours);
    const [textsPath, outPath] = [join(folder, "compared.jsonl"), join(folder, "out.json")];
    await writeTexts(textsPath, compared);
    python("encode", theirs, textsPath, outPath);
    const chunks: Record<string, string>[] = JSON.parse(await readFile(outPath, "utf8"));
    expect(chunks).toHaveLength(Math.ceil(compared.length / chunkSize));
    const seen = new Set<string>();
    for (const [i, expected] of chunks.entries()) {
      const chunk = compared.slice(i * chunkSize, (i + 1) * chunkSize);
      const arrays = await chunkArrays(tokenizer, chunk, seen, i % pairEvery === 0);
      for (const [name, values] of Object.entries(arrays)) {
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        if (createHash("sha256").update(bytes).digest("hex") === expected[name]) continue;
        python("show", theirs, textsPath, outPath, String(i));
        const [full] = JSON.parse(await readFile(outPath, "utf8"));
        expect.fail(firstDifference(chunk, name, arrays, full));
      }
    }
  }

  test.skipIf(!has.minilm)("WordPiece, every text", () => compare("WordPiece", texts), 900_000);
  // No token of these goes beyond a blank: texts made of words that stood in others would tell nothing new.
  test.each(["byte-level BPE", "Unigram"] as const)(
    "%s, every text with a word of its own",
    (place) => compare(place, withNewWords(texts)),
    900_000,
  );
  test.skipIf(!has.minilm)(
    "WordPiece from vocab.txt, some texts",
    async () => {
      await compare("WordPiece from vocab.txt", texts.slice(0, 20_000));
    },
    300_000,
  );
});

function withNewWords(texts: readonly string[]): string[] {
  const seen = new Set<string>();
  return texts.filter((text) => {
    const before = seen.size;
    for (const word of text.split(" ")) seen.add(word);
    return seen.size > before;
  });
}

/** Which text it is, and what both say. */
function firstDifference(
  chunk: readonly string[],
  name: string,
  ours: Arrays,
  theirs: Record<string, number[]>,
): string {
  const countsOf = Object.keys(ours).find((key) => /lengths|counts/.test(key) && key[0] === name[0])!;
  const perToken = name === "text offsets" ? 2 : 1;
  let [ourStart, theirStart] = [0, 0];
  for (const [i, text] of chunk.entries()) {
    const ourEnd = name === countsOf ? i + 1 : ourStart + perToken * ours[countsOf]![i]!;
    const theirEnd = name === countsOf ? i + 1 : theirStart + perToken * theirs[countsOf]![i]!;
    const [mine, expected] = [
      [...ours[name]!.slice(ourStart, ourEnd)],
      theirs[name]!.slice(theirStart, theirEnd),
    ];
    if (`${mine}` !== `${expected}`) {
      return `${name} of ${JSON.stringify(text.slice(0, 300))}: expected ${expected}, got ${mine}`;
    }
    [ourStart, theirStart] = [ourEnd, theirEnd];
  }
  return `${name}: the arrays are the same, their hashes are not`;
}
