import { type PtuningError, shown } from "../core/index.ts";
import { dataError } from "./format.ts";
import { parseJson } from "./lines.ts";
import type { Column } from "./options.ts";
import { LiteralError, parsePythonLiteral } from "./python-literal.ts";

/** How the cells of a column with lists are written: each a list of JSON or Python, or items with a separator. */
export type ListForm = "lists" | "joined";

/** What one cell of text is. */
type Cell =
  | { readonly kind: "list"; readonly items: readonly unknown[] }
  /** It has a list's brackets and is none. */
  | { readonly kind: "broken"; readonly why: string }
  | { readonly kind: "plain" };

/** Reads a cell that may be a list as JSON or Python writes it. */
export function readListCell(value: string): Cell {
  const text = value.trim();
  const isClosed = /^(?:\[.*\]|\(.*\)|\{.*\}|(?:(?:np\.|numpy\.)?array|set|frozenset)\(.*\))$/s.test(text);
  if (!isClosed) {
    return /^[[(]\s*['"]/.test(text)
      ? { kind: "broken", why: "has no bracket at its end" }
      : { kind: "plain" };
  }
  if (text.startsWith("[")) {
    try {
      return { kind: "list", items: parseJson(text) as unknown[] };
    } catch {
      // Python's, perhaps.
    }
  }
  try {
    const parsed = parsePythonLiteral(text);
    if (Array.isArray(parsed)) return { kind: "list", items: parsed };
    return typeof parsed === "object" ? { kind: "broken", why: "is a dictionary" } : { kind: "plain" };
  } catch (error) {
    if (!(error instanceof LiteralError)) throw error;
    // Words in round brackets are words.
    return text.startsWith("(") && !/^\(\s*['"]/.test(text)
      ? { kind: "plain" }
      : { kind: "broken", why: error.message };
  }
}

interface Seen {
  count: number;
  line: number;
  text: string;
  why: string;
}

/**
 * Looks at all cells of a column with lists and decides for the whole column how they are read: a list in one row and
 * a text with a separator in the next would be two readings of one file.
 */
export class ListColumn {
  readonly #path: string;
  readonly #column: Column;
  /** Texts may stand in brackets: tokens that are joined by blanks. */
  readonly #isProse: boolean;
  readonly #seen = new Map<Cell["kind"], Seen>();
  #typed = 0;

  constructor(path: string, column: Column, isProse: boolean) {
    this.#path = path;
    this.#column = column;
    this.#isProse = isProse;
  }

  /** Gives the items, where the cell is a list. */
  add(line: number, value: unknown): readonly unknown[] | undefined {
    if (Array.isArray(value)) {
      this.#typed++;
      return value;
    }
    if (typeof value !== "string" || value.trim() === "") return undefined;
    const cell = readListCell(value);
    const seen = this.#seen.get(cell.kind);
    if (seen !== undefined) seen.count++;
    else {
      const why = cell.kind === "broken" ? cell.why : "";
      this.#seen.set(cell.kind, { count: 1, line, text: value.slice(0, 200), why });
    }
    return cell.kind === "list" ? cell.items : undefined;
  }

  /** No text was seen: the file has lists itself. */
  get isTyped(): boolean {
    return this.#typed > 0 && this.#seen.size === 0;
  }

  /**
   * @param isTolerant cells that do not fit are left out later
   * @throws DATA_INVALID naming the line of a cell that fits no reading of the whole column, or two
   */
  decide(isTolerant: boolean): ListForm {
    const [list, broken, plain] = [this.#seen.get("list"), this.#seen.get("broken"), this.#seen.get("plain")];
    const bracketed = (list?.count ?? 0) + (broken?.count ?? 0);
    if (isTolerant) return bracketed > (plain?.count ?? 0) ? "lists" : "joined";
    if (plain === undefined && broken === undefined) return list === undefined ? "joined" : "lists";
    if (plain === undefined) throw this.#broken(broken!);
    if (list === undefined && broken === undefined) return "joined";
    if (this.#isProse && plain.count > bracketed) return "joined";
    // What is rarer is what is wrong.
    if (plain.count > bracketed) {
      const odd = list ?? broken!;
      throw dataError(
        this.#path,
        odd.line,
        `"${this.#column}": expected items with a separator, as line ${plain.line} has them, got ${shown(odd.text)}, ` +
          `which is ${list ? "a list" : "like a list"}`,
        { hint: oneForm },
      );
    }
    if (broken !== undefined && broken.count >= plain.count) throw this.#broken(broken);
    throw dataError(
      this.#path,
      plain.line,
      `"${this.#column}": expected a list, as line ${(list ?? broken!).line} has it, got ${shown(plain.text)}`,
      { hint: oneForm },
    );
  }

  #broken({ line, text, why }: Seen): PtuningError {
    return dataError(
      this.#path,
      line,
      `"${this.#column}": expected a list as JSON or Python writes it, got ${shown(text)}, which ${why}`,
      { hint: 'Write lists as JSON: ["a", "b"]. From pandas: column.map(list).map(json.dumps).' },
    );
  }
}

const oneForm =
  "Write all cells of the column in one way. To take them all as they stand, say data.listCells: lists or joined.";
