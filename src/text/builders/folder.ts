import { join } from "node:path";
import { messageOf, PtuningError, shown } from "../../core/index.ts";
import { readBytes, readTextIfThere, topLevelKeys } from "../../files/index.ts";
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
export async function tokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const settings = await readSettings(folder);
  const token = (role: SpecialRole): string | undefined => contentOf(settings[`${role}_token`]);
  return {
    folder,
    settings,
    token,
    named: await namedTokens(folder, settings),
    bytes: (name) => readBytes(join(folder, name)).catch(asInvalid),
    text: (name) => readStrictly(join(folder, name)),
    async json(name) {
      const path = join(folder, name);
      const text = await readStrictly(path);
      const json = parsed(text, path);
      expectKeysOnce(text, path);
      return json;
    },
  };
}

/** `tokenizer_config.json` over `special_tokens_map.json`. @throws BACKBONE_INVALID if one is no JSON object */
export async function readSettings(folder: string): Promise<Json> {
  const both = await Promise.all(settingsFiles.map((name) => readJsonIfThere(join(folder, name))));
  return { ...both[0], ...both[1] };
}

/** The JSON object of a file, if it is there. @throws BACKBONE_INVALID if it is none */
export async function readJsonIfThere(path: string): Promise<Json | undefined> {
  const text = await readTextIfThere(path).catch(asInvalid);
  return text === undefined ? undefined : parsed(text, path);
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
async function readStrictly(path: string): Promise<string> {
  const bytes = await readBytes(path).catch(asInvalid);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new PtuningError("BACKBONE_INVALID", `${path}: expected UTF-8, got other bytes.`, { cause });
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

async function namedTokens(folder: string, settings: Json): Promise<NamedToken[]> {
  const where = join(folder, settingsFiles[1]!);
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
  const added = join(folder, addedTokensFile);
  const text = await readTextIfThere(added).catch(asInvalid);
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
