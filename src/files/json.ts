import { readFile } from "node:fs/promises";
import { messageOf, PtuningError, systemCode } from "../core/index.ts";

/** The keys of a JSON object as written, repeats included; `JSON.parse` would keep the last of them only. */
export function topLevelKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g)) {
    const [token, colon] = match;
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && colon) keys.push(JSON.parse(token.slice(0, -colon.length)));
  }
  return keys;
}

/**
 * Reads a JSON file.
 * @throws FILE_INVALID if it is missing or not JSON
 */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const reason = systemCode(cause) === "ENOENT" ? "no such file" : messageOf(cause);
    throw new PtuningError("FILE_INVALID", `${path}: expected a JSON file: ${reason}.`, { cause });
  }
}
