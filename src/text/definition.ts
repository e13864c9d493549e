import { createHash } from "node:crypto";
import { join } from "node:path";
import { messageOf, PtuningError, shown } from "../core/index.ts";
import { readTextIfThere } from "../files/index.ts";

type Json = Readonly<Record<string, unknown>>;

/** A tokenizer as the native library reads it, and the names of its special tokens. */
export interface TokenizerDefinition {
  /** Content of a `tokenizer.json`. */
  readonly json: string;
  /** What `tokenizer_config.json` and `special_tokens_map.json` call a special token, as in `cls_token`. */
  specialToken(role: SpecialRole): string | undefined;
}

/** What special tokens are for. */
export type SpecialRole = "pad" | "cls" | "sep" | "mask" | "unk";

/**
 * Reads the tokenizer of a backbone's folder: `tokenizer.json`, or `vocab.txt` of a BERT WordPiece vocabulary, or
 * `vocab.json` and `merges.txt` of a byte-level BPE.
 * @throws BACKBONE_INVALID if none is there or a file is damaged
 */
export async function readDefinition(folder: string): Promise<TokenizerDefinition> {
  const settings = await readSettings(folder);
  const specialToken = (role: SpecialRole): string | undefined => {
    const token = settings[`${role}_token`];
    const text = typeof token === "object" ? (token as { content?: unknown } | null)?.content : token;
    return typeof text === "string" ? text : undefined;
  };
  const json =
    (await readIfThere(join(folder, "tokenizer.json"))) ??
    (await wordPiece(folder, settings)) ??
    (await byteLevelBpe(folder, settings, specialToken));
  if (json === undefined) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${folder}: expected tokenizer.json, vocab.txt, or vocab.json with merges.txt, found none.`,
    );
  }
  return { json, specialToken };
}

async function readSettings(folder: string): Promise<Json> {
  return {
    ...(await readJsonIfThere(join(folder, "special_tokens_map.json"))),
    ...(await readJsonIfThere(join(folder, "tokenizer_config.json"))),
  };
}

/** Files that say which tokens a text becomes, beside the two with settings. */
const vocabularyFiles = ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"];

/** Of the settings, those that are read here: others come and go with the program that saved them. */
const decisiveSettings = [
  ...["do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space"],
  ...["pad_token", "cls_token", "sep_token", "mask_token", "unk_token"],
];

/**
 * A SHA-256 over all of a folder that decides which tokens a text becomes.
 * @throws BACKBONE_INVALID if a file is damaged
 */
export async function tokenizerFingerprint(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const name of vocabularyFiles) {
    const text = await readIfThere(join(folder, name));
    if (text !== undefined) hash.update(`${name} ${text.length}\n`).update(text);
  }
  const settings = await readSettings(folder);
  hash.update(JSON.stringify(decisiveSettings.map((key) => settings[key] ?? null)));
  return hash.digest("hex");
}

/**
 * The definition for texts that come split into words, where it is another: byte-level BPE must see a blank in
 * front of every word (`add_prefix_space`, as transformers demands for such input).
 */
export function definitionForWords(json: string): string | undefined {
  const definition: Json = JSON.parse(json);
  let changed = false;
  const preTokenizer = JSON.parse(JSON.stringify(definition.pre_tokenizer ?? null), (_, value) => {
    if (value?.type !== "ByteLevel" || value.add_prefix_space) return value;
    changed = true;
    return { ...value, add_prefix_space: true };
  });
  return changed ? JSON.stringify({ ...definition, pre_tokenizer: preTokenizer }) : undefined;
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readTextIfThere(path).catch((cause: unknown) => {
    throw new PtuningError("BACKBONE_INVALID", messageOf(cause), { cause });
  });
}

async function readJsonIfThere(path: string): Promise<Json | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PtuningError("BACKBONE_INVALID", `${path}: expected JSON: ${messageOf(cause)}.`, { cause });
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
  throw new PtuningError("BACKBONE_INVALID", `${path}: expected a JSON object, got ${shown(json)}.`);
}

const special = (vocab: Json, contents: readonly string[], lstrip: readonly string[] = []): object[] =>
  contents
    .filter((content) => Object.hasOwn(vocab, content))
    .map((content) => ({
      id: vocab[content],
      content,
      single_word: false,
      lstrip: lstrip.includes(content),
      rstrip: false,
      normalized: false,
      special: true,
    }));

/** The definition of BERT's tokenizer around a plain `vocab.txt`, as older checkpoints come. */
async function wordPiece(folder: string, settings: Json): Promise<string | undefined> {
  const vocabulary = await readIfThere(join(folder, "vocab.txt"));
  if (vocabulary === undefined) return undefined;
  const vocab = Object.fromEntries(
    vocabulary
      .replace(/\n$/, "")
      .split(/\r?\n/)
      .map((token, id) => [token, id]),
  );
  const piece = (id: string, type: number): object => ({ SpecialToken: { id, type_id: type } });
  const text = (id: string, type: number): object => ({ Sequence: { id, type_id: type } });
  const single = [piece("[CLS]", 0), text("A", 0), piece("[SEP]", 0)];
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special(vocab, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
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

/** The definition of RoBERTa's tokenizer around `vocab.json` and `merges.txt`; `RobertaConverter` in transformers. */
async function byteLevelBpe(
  folder: string,
  settings: Json,
  specialToken: TokenizerDefinition["specialToken"],
): Promise<string | undefined> {
  const vocab = await readJsonIfThere(join(folder, "vocab.json"));
  const merges = await readIfThere(join(folder, "merges.txt"));
  if (vocab === undefined || merges === undefined) return undefined;
  const names = { cls: "<s>", pad: "<pad>", sep: "</s>", unk: "<unk>", mask: "<mask>" };
  const name = (role: SpecialRole): string => specialToken(role) ?? names[role];
  const mask = name("mask");
  const addPrefixSpace = settings.add_prefix_space ?? false;
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    // The mask stands for a word together with the blank in front of it.
    added_tokens: special(vocab, [...new Set((Object.keys(names) as SpecialRole[]).map(name))], [mask]),
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: addPrefixSpace,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: [name("sep"), vocab[name("sep")]],
      cls: [name("cls"), vocab[name("cls")]],
      trim_offsets: true,
      add_prefix_space: addPrefixSpace,
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges: merges.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#version")),
    },
  });
}
