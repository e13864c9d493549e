/** One key of a JSON object, with the first character of its value. */
export interface OutlineKey {
  readonly key: string;
  readonly opens: string;
}

/**
 * The keys of the JSON object that a text begins with, as far as the text goes: it may be cut off anywhere.
 * `undefined` if it does not begin with one, or is no JSON.
 */
export function outlineOf(
  start: string,
): { readonly keys: readonly OutlineKey[]; readonly end: number } | undefined {
  let at = blanks(start, 0);
  if (start[at] !== "{") return undefined;
  const keys: OutlineKey[] = [];
  at = blanks(start, at + 1);
  if (start[at] === "}") return { keys, end: at + 1 };
  for (;;) {
    if (at >= start.length) return { keys, end: at };
    if (start[at] !== '"') return undefined;
    const end = stringEnd(start, at);
    if (end >= start.length) return { keys, end };
    const key = start.slice(at + 1, end - 1);
    at = blanks(start, end);
    if (at < start.length && start[at] !== ":") return undefined;
    at = blanks(start, at + 1);
    if (at >= start.length) return { keys, end: at };
    keys.push({ key, opens: start[at]! });
    at = blanks(start, valueEnd(start, at));
    if (start[at] === "}") return { keys, end: at + 1 };
    if (at < start.length && start[at] !== ",") return undefined;
    at = blanks(start, at + 1);
  }
}

function blanks(text: string, at: number): number {
  while (at < text.length && " \t\r\n".includes(text[at]!)) at++;
  return at;
}

/** The place behind a string's closing quote, or the text's end. */
function stringEnd(text: string, at: number): number {
  for (let next = at + 1; next < text.length; next++) {
    if (text[next] === "\\") next++;
    else if (text[next] === '"') return next + 1;
  }
  return text.length;
}

function valueEnd(text: string, at: number): number {
  for (let depth = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') {
      at = stringEnd(text, at) - 1;
      if (depth === 0) return at + 1;
    } else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && char === ",") return at;
  }
  return text.length;
}

/** Keys under which a document has its records. */
const recordKeys = /^(?:data|rows|examples|records|instances|items)$/;

/** Where the records of a JSON document stand: a list of objects, or one under a key. */
export function recordsPath(start: string): readonly string[] | undefined {
  if (/^\s*\[\s*\{/.test(start)) return ["*"];
  const outline = outlineOf(start);
  if (outline === undefined || start.slice(outline.end).trimStart().startsWith("{")) return undefined;
  const lists = outline.keys.filter(({ key, opens }) => opens === "[" && recordKeys.test(key));
  const [only] = lists;
  if (only === undefined || lists.length > 1) return undefined;
  const hasObjects = new RegExp(`"${only.key}"\\s*:\\s*\\[\\s*\\{`).test(start);
  return hasObjects ? [only.key, "*"] : undefined;
}

/** Whether a JSON document has an object for each column, its rows under their numbers, as pandas writes by itself. */
export function isByColumn(start: string): boolean {
  return /^\s*\{\s*"[^"]{1,200}"\s*:\s*\{\s*"0"\s*:/.test(start);
}

/** Whether a file has a JSON object in each line. */
export function isJsonLines({ name, start }: { readonly name: string; readonly start: string }): boolean {
  if (/\.(?:jsonl|ndjson)$/.test(name)) return !/^\s*\[\s*\{/.test(start);
  if (!/^\s*\{/.test(start) || recordsPath(start) !== undefined || isByColumn(start)) return false;
  if (!/\.(?:json|ya?ml|csv|tsv|tab)$/.test(name)) return true;
  const outline = outlineOf(start);
  if (outline === undefined) return false;
  const [record, rest] = [start.slice(0, outline.end).trim(), start.slice(outline.end).trim()];
  if (/[\r\n]/.test(record)) return false;
  // One record alone; columns of objects are another form.
  return rest === ""
    ? outline.keys.some(({ opens }) => opens === '"') && record.endsWith("}")
    : rest.startsWith("{");
}
