import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { messageOf, PtuningError, systemCode } from "../core/index.ts";
import { SequenceCollector, type TokenSequences } from "./sequences.ts";

/** One text, or the two texts of a pair. */
export type TextInput = string | readonly [first: string, second: string];

/** Turns texts into the token ids of one backbone. */
export interface Tokenizer {
  /**
   * Encodes with the backbone's special tokens; a pair that is too long loses tokens from its longer text.
   * @param maxLength greatest number of tokens per example, special tokens included
   */
  encode(texts: readonly TextInput[], maxLength: number): Promise<TokenSequences>;
}

/** Texts that are encoded at once: enough to use all cores, few enough to keep memory flat. */
const chunkSize = 512;

/**
 * Opens the tokenizer of a backbone's folder: `tokenizer.json`, or `vocab.txt` of a BERT WordPiece vocabulary.
 * @throws BACKBONE_INVALID if neither is there or the file is damaged
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const definition = (await readIfThere(join(folder, "tokenizer.json"))) ?? (await fromVocabulary(folder));
  if (definition === undefined) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${folder}: expected tokenizer.json or vocab.txt, found neither.`,
    );
  }
  let native: NativeTokenizer;
  try {
    native = nativeLibrary().Tokenizer.fromString(definition);
    // Saved settings of another program; ours come with each call.
    native.disablePadding();
    native.disableTruncation();
  } catch (cause) {
    throw new PtuningError("BACKBONE_INVALID", `${folder}/tokenizer.json: ${messageOf(cause)}`, { cause });
  }
  const encode: Tokenizer["encode"] = async (texts, maxLength) => {
    native.setTruncation(maxLength);
    const collected = new SequenceCollector();
    for (let start = 0; start < texts.length; start += chunkSize) {
      // One call per text: the batch call of this binding takes no pairs, and is no faster.
      const encodings = await Promise.all(
        texts
          .slice(start, start + chunkSize)
          .map((text) => (typeof text === "string" ? native.encode(text) : native.encode(text[0], text[1]))),
      );
      for (const encoding of encodings) {
        collected.add(encoding.getIds(), encoding.getTypeIds(), encoding.getOverflowing().length > 0);
      }
    }
    return collected.finish();
  };
  // The greatest length is a setting of the native object: one caller at a time.
  let last: Promise<unknown> = Promise.resolve();
  return {
    encode(texts, maxLength) {
      const next = last.then(() => encode(texts, maxLength));
      last = next.catch(() => {});
      return next;
    },
  };
}

function nativeLibrary(): typeof import("tokenizers") {
  try {
    return createRequire(import.meta.url)("tokenizers");
  } catch (cause) {
    throw new PtuningError(
      "ENGINE_UNAVAILABLE",
      `the tokenizer library did not load on ${process.platform} ${process.arch}: ${messageOf(cause)}`,
      { hint: "Its binaries exist for Linux, macOS, Windows and Android on x64 and arm64.", cause },
    );
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The definition of BERT's tokenizer around a plain `vocab.txt`, as older checkpoints come. */
async function fromVocabulary(folder: string): Promise<string | undefined> {
  const vocabulary = await readIfThere(join(folder, "vocab.txt"));
  if (vocabulary === undefined) return undefined;
  const settings = JSON.parse((await readIfThere(join(folder, "tokenizer_config.json"))) ?? "{}");
  const vocab = Object.fromEntries(
    vocabulary
      .replace(/\n$/, "")
      .split(/\r?\n/)
      .map((token, id) => [token, id]),
  );
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].filter((token) => token in vocab);
  const piece = (id: string, type: number): object => ({ SpecialToken: { id, type_id: type } });
  const text = (id: string, type: number): object => ({ Sequence: { id, type_id: type } });
  const single = [piece("[CLS]", 0), text("A", 0), piece("[SEP]", 0)];
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content) => ({
      id: vocab[content],
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: settings.tokenize_chinese_chars ?? true,
      strip_accents: settings.strip_accents ?? null,
      lowercase: settings.do_lower_case ?? true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, text("B", 1), piece("[SEP]", 1)],
      special_tokens: Object.fromEntries(
        ["[CLS]", "[SEP]"].map((token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }]),
      ),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  });
}
