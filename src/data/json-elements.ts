import { shown } from "../core/index.ts";
import { dataError, type FormatInput } from "./format.ts";
import { isRecord, parseJson, whyNoJson } from "./lines.ts";

/** A value inside a JSON document. */
export interface JsonElement {
  /** Keys and indices that lead to it. */
  readonly path: readonly (string | number)[];
  readonly value: unknown;
  /** Line that it starts on. */
  readonly line: number;
}

/** Longer elements are not kept in memory. */
const maxElementCharacters = 32_000_000;

/**
 * The values of a JSON document whose path fits a pattern, one after another, so that the document is never in
 * memory as a whole: `["data", "*"]` gives the elements of the list `data`. Syntax is checked everywhere.
 */
export async function* jsonElements(
  input: FormatInput,
  pattern: readonly string[],
): AsyncGenerator<JsonElement> {
  const scanner = new Scanner(input);
  try {
    yield* walk(scanner, input, pattern, []);
    if ((await scanner.peek()) !== "") throw scanner.expected("the end of the file");
  } finally {
    await scanner.close();
  }
}

async function* walk(
  scanner: Scanner,
  input: FormatInput,
  pattern: readonly string[],
  path: readonly (string | number)[],
): AsyncGenerator<JsonElement> {
  const open = await scanner.peek();
  const deeper = path.length < pattern.length && fits(path, pattern);
  if (!deeper || (open !== "{" && open !== "[")) {
    const { text, line } = await scanner.value();
    let value: unknown;
    try {
      value = parseJson(text);
    } catch (cause) {
      const what = `expected a JSON value, got ${shown(text)}${whyNoJson(text, cause)}`;
      input.reject(dataError(input.path, line, what, { cause }));
      return;
    }
    if (path.length === pattern.length && fits(path, pattern)) {
      input.begin(line, isRecord(value) ? value : undefined);
      yield { path, value, line };
    }
    return;
  }
  scanner.take();
  const isList = open === "[";
  const close = isList ? "]" : "}";
  if ((await scanner.peek()) === close) return scanner.take();
  for (let index = 0; ; index++) {
    let key: string | number = index;
    if (!isList) {
      if ((await scanner.peek()) !== '"') throw scanner.expected("a key in quotes");
      const { text, line } = await scanner.value();
      try {
        key = JSON.parse(text) as string;
      } catch (cause) {
        throw dataError(input.path, line, "expected a key in quotes", { cause });
      }
      if ((await scanner.peek()) !== ":") throw scanner.expected("a colon");
      scanner.take();
    }
    yield* walk(scanner, input, pattern, [...path, key]);
    const next = await scanner.peek();
    if (next === close) return scanner.take();
    if (next !== ",") throw scanner.expected(`a comma or ${close}`);
    scanner.take();
  }
}

function fits(path: readonly (string | number)[], pattern: readonly string[]): boolean {
  return path.every((key, i) => pattern[i] === "*" || pattern[i] === key);
}

const quote = 0x22;
const backslash = 0x5c;

/** Cuts a text into JSON values without looking into them. */
class Scanner {
  readonly #path: string;
  readonly #chunks: AsyncIterator<string>;
  #buffer = "";
  #at = 0;
  #line = 1;

  constructor(input: FormatInput) {
    this.#path = input.path;
    this.#chunks = input.text()[Symbol.asyncIterator]();
  }

  /** Closes the file, also where reading ends before it does. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** The next character that is not white space; empty at the end. */
  async peek(): Promise<string> {
    for (;;) {
      for (; this.#at < this.#buffer.length; this.#at++) {
        const char = this.#buffer[this.#at]!;
        if (char === "\n") this.#line++;
        else if (char !== " " && char !== "\t" && char !== "\r") return char;
      }
      if (!(await this.#more())) return "";
    }
  }

  /** Steps over the character that {@link peek} gave. */
  take(): void {
    this.#at++;
  }

  expected(what: string): Error {
    const got = this.#buffer.slice(this.#at, this.#at + 20);
    const found = got === "" ? "the end of the file" : JSON.stringify(got);
    return dataError(this.#path, this.#line, `expected ${what}, got ${found}`, {
      hint: "The file is not JSON, or it was cut off or damaged here.",
    });
  }

  /** The text of the next value, up to its closing quote or bracket or the next separator. */
  async value(): Promise<{ text: string; line: number }> {
    const first = await this.peek();
    if (first === "" || ",:]}".includes(first)) throw this.expected("a value");
    const line = this.#line;
    let [depth, inString] = [0, false];
    for (let at = this.#at; ; at++) {
      while (at >= this.#buffer.length) {
        const consumed = this.#at;
        if (consumed === 0 && this.#buffer.length > maxElementCharacters) {
          throw dataError(
            this.#path,
            line,
            `expected elements of at most ${maxElementCharacters} characters`,
          );
        }
        if (!(await this.#more())) {
          // A bare number may end with the file.
          if (depth === 0 && !inString) return this.#cut(at, line);
          this.#at = this.#buffer.length;
          throw this.expected(inString ? "a closing quote" : "a closing bracket");
        }
        at -= consumed;
      }
      const code = this.#buffer.charCodeAt(at);
      if (inString) {
        if (code === backslash) at++;
        else if (code === quote) {
          inString = false;
          if (depth === 0) return this.#cut(at + 1, line);
        }
      } else if (code === quote) inString = true;
      else if (code === 0x7b || code === 0x5b) depth++;
      else if (code === 0x7d || code === 0x5d) {
        if (depth === 0) return this.#cut(at, line);
        if (--depth === 0) return this.#cut(at + 1, line);
      } else if (depth === 0 && (code === 0x2c || code === 0x3a || code <= 0x20)) return this.#cut(at, line);
    }
  }

  #cut(end: number, line: number): { text: string; line: number } {
    const text = this.#buffer.slice(this.#at, end);
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#line++;
    this.#at = end;
    return { text, line };
  }

  /** Drops what was read and appends the next piece. */
  async #more(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done) return false;
    this.#buffer = this.#buffer.slice(this.#at) + next.value;
    this.#at = 0;
    return true;
  }
}
