/** What cannot be read: a sentence part that says why. */
export class LiteralError extends Error {}

/** Values may be nested this deep. */
const maxDepth = 100;

/**
 * Reads one literal of Python, as `ast.literal_eval` does: strings with either quote, prefixes and escapes, numbers,
 * `True`, `False`, `None`, and lists, tuples, sets and dictionaries of them. Lists, tuples and sets become arrays,
 * `None` null; whole numbers beyond 2⁵³ keep their digits, as texts. NumPy's `array([…], dtype=…)` is its list.
 * Two strings side by side are refused: Python joins them, NumPy prints two items so.
 * @throws LiteralError
 */
export function parsePythonLiteral(text: string): unknown {
  const reader = new LiteralReader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

const escapes: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

const constants: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["True", true],
  ["False", false],
  ["None", null],
]);

class LiteralReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  end(): void {
    this.#blanks();
    if (this.#at < this.#text.length) throw this.#unexpected();
  }

  value(depth: number): unknown {
    if (depth > maxDepth) throw new LiteralError("is nested too deeply");
    this.#blanks();
    const char = this.#text[this.#at];
    if (char === undefined) throw new LiteralError("ends too early");
    if (char === "[") return this.#items("]", depth).values;
    if (char === "(") {
      const { values, commas } = this.#items(")", depth);
      return values.length === 1 && commas === 0 ? values[0] : values;
    }
    if (char === "{") return this.#braces(depth);
    if (/['"]/.test(char) || /^(?:[rbu]|br|rb)['"]/i.test(this.#text.slice(this.#at, this.#at + 3))) {
      return this.#string();
    }
    const number = this.#match(
      /[+-]?\s*(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?)(?![\w.])/y,
    );
    if (number !== undefined) return numberOf(number);
    const name = this.#match(/[A-Za-z_][\w.]*/y);
    if (name !== undefined && constants.has(name)) return constants.get(name);
    if (name !== undefined && /^(?:(?:np|numpy)\.)?array$/.test(name)) return this.#array(depth);
    if ((name === "set" || name === "frozenset") && this.#match(/\s*\(\s*\)/y) !== undefined) return [];
    if (name !== undefined) throw new LiteralError(`has ${name.slice(0, 20)} without quotes`);
    throw this.#unexpected();
  }

  #array(depth: number): unknown {
    if (this.#match(/\s*\(/y) === undefined) throw this.#unexpected();
    const value = this.value(depth + 1);
    if (!Array.isArray(value) || this.#match(/\s*(?:,\s*dtype\s*=\s*[^()[\]]+)?\)/y) === undefined) {
      throw this.#unexpected();
    }
    return value;
  }

  /** The values between two brackets. */
  #items(close: string, depth: number): { values: unknown[]; commas: number } {
    this.#at++;
    const values: unknown[] = [];
    let commas = 0;
    for (;;) {
      this.#blanks();
      if (this.#text[this.#at] === close) break;
      if (values.length > commas) throw this.#noComma(close, values.at(-1));
      values.push(this.value(depth + 1));
      this.#blanks();
      if (this.#text[this.#at] === ",") {
        this.#at++;
        commas++;
      }
    }
    this.#at++;
    return { values, commas };
  }

  /** A dictionary or a set. */
  #braces(depth: number): unknown {
    this.#at++;
    const values: unknown[] = [];
    const entries: [string, unknown][] = [];
    let isFirst = true;
    for (;;) {
      this.#blanks();
      if (this.#text[this.#at] === "}") break;
      if (!isFirst) {
        if (this.#text[this.#at] !== ",") throw this.#noComma("}", values.at(-1));
        this.#at++;
        this.#blanks();
        if (this.#text[this.#at] === "}") break;
      }
      isFirst = false;
      const value = this.value(depth + 1);
      this.#blanks();
      if (this.#text[this.#at] === ":") {
        if (values.length > 0 || typeof value === "object") throw this.#unexpected();
        this.#at++;
        entries.push([String(value), this.value(depth + 1)]);
      } else if (entries.length > 0) throw this.#unexpected();
      else values.push(value);
    }
    this.#at++;
    return values.length > 0 ? values : Object.fromEntries(entries);
  }

  #string(): string {
    const prefix = this.#match(/[a-z]*/iy)!.toLowerCase();
    const quote = this.#match(/'''|"""|'|"/y)!;
    let value = "";
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw new LiteralError("has a quote that is opened and never closed");
      if (this.#text.startsWith(quote, this.#at)) break;
      if (char === "\n" && quote.length === 1) {
        throw new LiteralError("has a line end inside a string");
      }
      if (char !== "\\") {
        value += char;
        this.#at++;
      } else if (prefix.includes("r")) {
        value += this.#text.slice(this.#at, this.#at + 2);
        this.#at += 2;
      } else value += this.#escape(prefix.includes("b"));
    }
    this.#at += quote.length;
    this.#blanks();
    if (/['"]/.test(this.#text[this.#at] ?? "")) throw this.#noComma("]", value);
    return value;
  }

  /** The character that an escape stands for; an unknown one stands for itself, backslash and all. */
  #escape(isBytes: boolean): string {
    const digits =
      this.#match(/\\x[\da-fA-F]{2}/y) ??
      (isBytes ? undefined : (this.#match(/\\u[\da-fA-F]{4}/y) ?? this.#match(/\\U[\da-fA-F]{8}/y)));
    if (digits !== undefined) {
      const code = Number.parseInt(digits.slice(2), 16);
      if (code > 0x10ffff) throw new LiteralError(`has the escape ${digits}, which is no character`);
      return String.fromCodePoint(code);
    }
    const octal = this.#match(/\\[0-7]{1,3}/y);
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal.slice(1), 8));
    const next = this.#text[this.#at + 1];
    if (next === undefined) throw new LiteralError("ends with a backslash");
    if (next === "x" || (!isBytes && /[uUN]/.test(next))) {
      throw new LiteralError(
        `has the escape ${this.#text.slice(this.#at, this.#at + 10)}, which is not known`,
      );
    }
    this.#at += 2;
    return escapes[next] ?? `\\${next}`;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #blanks(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #noComma(close: string, before: unknown): LiteralError {
    const next = this.#text[this.#at];
    if (next === undefined) return new LiteralError(`has no ${close} at its end`);
    const item =
      typeof before === "string" ? JSON.stringify(before).slice(0, 30) : String(before).slice(0, 30);
    return new LiteralError(
      /[\s'"\d.[(\w-]/.test(next)
        ? `has no comma behind ${item}, as NumPy prints arrays`
        : `has ${JSON.stringify(next)} behind ${item}`,
    );
  }

  #unexpected(): LiteralError {
    const rest = this.#text.slice(this.#at, this.#at + 12);
    return new LiteralError(
      rest === "" ? "ends too early" : `has ${JSON.stringify(rest)} where none belongs`,
    );
  }
}

function numberOf(text: string): unknown {
  const digits = text.replace(/[_\s]/g, "");
  if (/^[+-]?0\d/.test(digits) && /^[+-]?\d+$/.test(digits) && !/^[+-]?0+$/.test(digits)) {
    throw new LiteralError(`has the number ${digits} with a leading 0`);
  }
  const sign = digits.startsWith("-") ? -1 : 1;
  const number = sign * Number(digits.replace(/^[+-]/, ""));
  if (!Number.isFinite(number)) throw new LiteralError(`has ${digits}, which is too large`);
  const isWhole = /^[+-]?\d+$/.test(digits);
  return isWhole && !Number.isSafeInteger(number) ? digits.replace(/^\+/, "") : number;
}
