import { messageOf, PtuningError, shown } from "../../core/index.ts";
import { type Files, fileBytes, fileTextIfThere, topLevelKeys } from "../../files/portable.ts";
import {
  type Json,
  type NamedToken,
  type SpecialRole,
  specialRoles,
  type TokenizerFiles,
} from "./builder.ts";

/** Where the names of special tokens stand; the last one counts. */
const settingsFiles = ["special_tokens_map.json", "tokenizer_config.json"];
const addedTokensFile = "added_tokens.json";
/** `bos` and `eos` are special too, though nothing here has a use for them. */
const namedRoles = ["bos", "eos", ...specialRoles];

/**
 * The settings of a folder, and access to its other files.
 * @throws BACKBONE_INVALID if a file with settings is damaged
 */
export async function tokenizerFiles(files: Files): Promise<TokenizerFiles> {
  const settings = await readSettings(files);
  const token = (role: SpecialRole): string | undefined => contentOf(settings[`${role}_token`]);
  return {
    where: files.where,
    settings,
    token,
    named: await namedTokens(files, settings),
    bytes: (name) => fileBytes(files, name).catch(asInvalid),
    text: (name) => readStrictly(files, name),
    async json(name) {
      const text = await readStrictly(files, name);
      const json = parsed(text, files.where(name));
      expectKeysOnce(text, files.where(name));
      return json;
    },
  };
}

/** `tokenizer_config.json` over `special_tokens_map.json`. @throws BACKBONE_INVALID if one is no JSON object */
export async function readSettings(files: Files): Promise<Json> {
  const both = await Promise.all(settingsFiles.map((name) => readJsonIfThere(files, name)));
  return { ...both[0], ...both[1] };
}

/** The JSON object of a file, if it is there. @throws BACKBONE_INVALID if it is none */
export async function readJsonIfThere(files: Files, name: string): Promise<Json | undefined> {
  const text = await fileTextIfThere(files, name).catch(asInvalid);
  return text === undefined ? undefined : parsed(text, files.where(name));
}

/** For `catch`: what goes wrong with a file of a backbone is the backbone's fault. */
export function asInvalid(cause: unknown): never {
  throw new PtuningError("BACKBONE_INVALID", messageOf(cause), { cause });
}

function parsed(text: string, path: string): Json {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PtuningError("BACKBONE_INVALID", `${path}: expected JSON: ${messageOf(cause)}.`, { cause });
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
  throw new PtuningError("BACKBONE_INVALID", `${path}: expected a JSON object, got ${shown(json)}.`);
}

/** A text in which each byte counts: other ones than UTF-8 are not replaced. */
async function readStrictly(files: Files, name: string): Promise<string> {
  const bytes = await fileBytes(files, name).catch(asInvalid);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const message = `${files.where(name)}: expected UTF-8, got other bytes.`;
    throw new PtuningError("BACKBONE_INVALID", message, { cause });
  }
}

/** `JSON.parse` would keep the last of two ids for one piece. */
function expectKeysOnce(text: string, path: string): void {
  const seen = new Set<string>();
  for (const key of topLevelKeys(text)) {
    if (seen.has(key)) {
      throw new PtuningError("BACKBONE_INVALID", `${path}: ${shown(key)}: expected one id, got two.`);
    }
    seen.add(key);
  }
}

/** A token as settings write it: its text, or an object with it. */
function contentOf(token: unknown): string | undefined {
  const text = typeof token === "object" ? (token as { content?: unknown } | null)?.content : token;
  return typeof text === "string" && text !== "" ? text : undefined;
}

async function namedTokens(files: Files, settings: Json): Promise<NamedToken[]> {
  const where = files.where(settingsFiles[1]!);
  const special = namedRoles.map((role) => settings[`${role}_token`]);
  const more = settings.additional_special_tokens;
  const tokens = [...special, ...(Array.isArray(more) ? more : [])].flatMap((token) =>
    named(token, where, true),
  );
  const specialContents = new Set(tokens.map(({ content }) => content));
  const byId = settings.added_tokens_decoder;
  if (typeof byId === "object" && byId !== null) {
    for (const [id, token] of Object.entries(byId)) {
      const isSpecial = (token as { special?: unknown } | null)?.special === true;
      tokens.push(...named(token, where, isSpecial, idOf(id, token, where)));
    }
  }
  const added = files.where(addedTokensFile);
  const text = await fileTextIfThere(files, addedTokensFile).catch(asInvalid);
  if (text === undefined) return tokens;
  const ids = parsed(text, added);
  expectKeysOnce(text, added);
  for (const [content, id] of Object.entries(ids)) {
    tokens.push(...named(content, added, specialContents.has(content), idOf(id, content, added)));
  }
  return tokens;
}

function idOf(id: unknown, token: unknown, where: string): number {
  const number = typeof id === "string" ? Number(id) : id;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0) return number;
  throw new PtuningError("BACKBONE_INVALID", `${where}: ${shown(token)}: expected an id, got ${shown(id)}.`);
}

function named(token: unknown, where: string, special: boolean, id?: number): NamedToken[] {
  const content = contentOf(token);
  if (content === undefined) return [];
  const { lstrip, rstrip, single_word, normalized } = (typeof token === "object" ? token : {}) as Json;
  return [
    {
      content,
      special,
      where,
      ...(typeof lstrip === "boolean" && { lstrip }),
      ...(typeof rstrip === "boolean" && { rstrip }),
      ...(typeof single_word === "boolean" && { singleWord: single_word }),
      ...(typeof normalized === "boolean" && { normalized }),
      ...(id !== undefined && { id }),
    },
  ];
}
