import { createSha256, type Files, fileBytes, fileTextIfThere, hex } from "../files/portable.ts";
import { type Json, type SpecialRole, specialRoles } from "./builders/builder.ts";
import { asInvalid, readJsonIfThere, readSettings, tokenizerFiles } from "./builders/folder.ts";
import { builderOf, builtFrom, chooseBuilder, type Kind, vocabularyFiles } from "./builders/registry.ts";

export type { SpecialRole };

/** A tokenizer as the native library reads it, and the names of its special tokens. */
export interface TokenizerDefinition {
  /** Content of a `tokenizer.json`. */
  readonly json: string;
  /** What `tokenizer_config.json` and `special_tokens_map.json` call a special token, as in `cls_token`. */
  specialToken(role: SpecialRole): string | undefined;
  /** What a special token is usually called in tokenizers of this kind. */
  usualToken(role: SpecialRole): string | undefined;
  /** What opens an answer to a gap in tokenizers of this kind. */
  readonly start: string | undefined;
}

/** The file that needs no building. */
const complete = "tokenizer.json";

/** Files of which a backbone has one at least: a whole tokenizer, or what one is built from. */
export const tokenizerSources: readonly string[] = [complete, ...vocabularyFiles];

/** Files that decide which tokens a text becomes. */
export const tokenizerFileNames: readonly string[] = [
  ...new Set([
    ...[complete, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"],
    ...builtFrom,
  ]),
];

/**
 * Reads the tokenizer of a backbone's folder: `tokenizer.json`, or else what a builder makes of a SentencePiece model, of
 * `vocab.json` and `merges.txt`, or of `vocab.txt`. `tokenizer_class` and `model_type` say which kind it is.
 * @throws BACKBONE_INVALID if none is there or a file is damaged
 */
export async function readDefinition(all: Files): Promise<TokenizerDefinition> {
  const kind = await readKind(all);
  const files = await tokenizerFiles(all);
  const names = {
    specialToken: files.token,
    usualToken: (role: SpecialRole) => builderOf(kind)?.names[role],
    start: builderOf(kind)?.start,
  };
  const json = await fileTextIfThere(all, complete).catch(asInvalid);
  if (json !== undefined) return { json, ...names };
  const there = new Set(await all.list());
  const { builder, sources } = chooseBuilder(all.name, kind, (name) => there.has(name));
  return { json: JSON.stringify(await builder.build(files, sources)), ...names };
}

async function readKind(files: Files): Promise<Kind> {
  const [settings, config] = await Promise.all([readSettings(files), readJsonIfThere(files, "config.json")]);
  return {
    tokenizerClass: settings.tokenizer_class ?? config?.tokenizer_class,
    modelType: config?.model_type,
  };
}

/** Files that say which tokens a text becomes, beside the two with settings. */
const hashedFiles = ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"];

/** Of the settings, those that are read here: others come and go with the program that saved them. */
const decisiveSettings = [
  ...["do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space"],
  ...["pad_token", "cls_token", "sep_token", "mask_token", "unk_token"],
];

/** Beside those, what builders read. Folders without any of it have the fingerprint that they had before. */
const furtherFiles = builtFrom.filter((name) => !hashedFiles.includes(name));

/**
 * A SHA-256 over all of a folder that decides which tokens a text becomes.
 * @throws BACKBONE_INVALID if a file is damaged
 */
export async function tokenizerFingerprint(files: Files): Promise<string> {
  const hash = createSha256();
  const there = new Set(await files.list());
  for (const name of hashedFiles.filter((file) => there.has(file))) {
    const text = (await fileTextIfThere(files, name).catch(asInvalid)) ?? "";
    hash.update(`${name} ${text.length}\n`).update(text);
  }
  const settings = await readSettings(files);
  const valuesOf = (keys: readonly string[]): unknown[] => keys.map((key) => settings[key] ?? null);
  hash.update(JSON.stringify(valuesOf(decisiveSettings)));
  if (there.has(complete)) return hex(hash.digest());
  for (const name of furtherFiles.filter((file) => there.has(file))) {
    const bytes = await fileBytes(files, name).catch(asInvalid);
    hash.update(`${name} ${bytes.length}\n`).update(bytes);
  }
  const further = await furtherFacts(files);
  if (further.length > 0) hash.update(JSON.stringify(further));
  return hex(hash.digest());
}

/** Tokens beside the vocabulary and how they are found, a class that is not the usual one, and switches of some kinds. */
async function furtherFacts(all: Files): Promise<unknown[]> {
  const { settings, named, token } = await tokenizerFiles(all);
  const roles = new Set(specialRoles.map(token));
  const tokens = named
    .map(({ where: _, ...each }) => each)
    .filter(({ content, special, ...facts }) => !roles.has(content) || Object.keys(facts).length > 0);
  const kind = await readKind(all);
  const isUsual = builderOf(kind) === builderOf({ ...kind, tokenizerClass: undefined });
  const switches = ["split_by_punct", "keep_accents"].filter((key) => typeof settings[key] === "boolean");
  return [
    ...tokens,
    ...(isUsual ? [] : [kind.tokenizerClass]),
    ...switches.map((key) => [key, settings[key]]),
  ];
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
