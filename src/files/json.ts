import { messageOf, PtuningError, systemCode } from "../core/index.ts";
import { readText } from "./source.ts";

const quote = 0x22;
const colon = 0x3a;

/**
 * The keys of a JSON object as written, repeats included; `JSON.parse` would keep the last of them only.
 * @param text of valid JSON
 */
export function topLevelKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) depth--;
    else if (code === quote) {
      const end = endOfString(text, at);
      if (depth === 1) {
        let next = end + 1;
        while (text.charCodeAt(next) <= 0x20) next++;
        if (text.charCodeAt(next) === colon) keys.push(JSON.parse(text.slice(at, end + 1)));
      }
      at = end;
    }
  }
  return keys;
}

/** Place of the quote that ends the string which starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; ) {
    const end = text.indexOf('"', at);
    if (end < 0) return text.length;
    let first = end;
    while (text[first - 1] === "\\") first--;
    if ((end - first) % 2 === 0) return end;
    at = end + 1;
  }
}

/**
 * Reads a JSON file.
 * @throws FILE_INVALID if it is missing, no file or not JSON
 */
export async function readJson(path: string): Promise<unknown> {
  const fail = (reason: string, cause: unknown): never => {
    throw new PtuningError("FILE_INVALID", `${path}: expected a JSON file: ${reason}.`, { cause });
  };
  const text = await readText(path).catch((error: unknown) => {
    if (error instanceof PtuningError && systemCode(error.cause) === "ENOENT")
      return fail("no such file", error.cause);
    throw error;
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    return fail(messageOf(cause), cause);
  }
}
