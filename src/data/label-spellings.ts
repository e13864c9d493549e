import { shown } from "../core/index.ts";
import { dataError } from "./format.ts";
import type { Column } from "./options.ts";

interface First {
  readonly line: number;
  readonly label: string;
  type: string;
}

/**
 * Watches how the labels of a file are spelled. `1` and `1.0` are one label as numbers and two as texts; which it is
 * cannot be told from the file.
 */
export class LabelSpellings {
  readonly #path: string;
  readonly #column: Column;
  readonly #seen = new Map<string, First>();

  constructor(path: string, column: Column) {
    this.#path = path;
    this.#column = column;
  }

  /**
   * Tells whether the same label was seen as a value of another type: `1` and `"1"` in JSON.
   * @throws DATA_INVALID on a second spelling of the same number or truth value
   */
  add(line: number, label: string, value: unknown): boolean {
    const meaning = meaningOf(label);
    if (meaning === undefined) return false;
    const first = this.#seen.get(meaning);
    if (first === undefined) {
      this.#seen.set(meaning, { line, label, type: typeof value });
      return false;
    }
    if (first.label === label) return first.type !== typeof value;
    throw dataError(
      this.#path,
      line,
      `"${this.#column}": expected labels that can be read in one way, got ${shown(label)} beside ` +
        `${shown(first.label)} of line ${first.line}: one label as values, two as texts`,
      { hint: "Spell them alike, or take them as texts with data.labelPattern: (?<label>.*)." },
    );
  }
}

/** The value of a label that is a number or a truth value. */
function meaningOf(label: string): string | undefined {
  if (/^[+-]?\d{1,15}(?:\.\d{1,15})?$/.test(label)) return String(Number(label));
  return /^(?:true|false)$/i.test(label) ? label.toLowerCase() : undefined;
}
