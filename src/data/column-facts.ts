import { readListCell } from "./list-cells.ts";
import { markOf } from "./multi-labels.ts";

/** Rows whose differences and lengths tell texts from labels. */
const textRows = 1000;
/** Different values that are kept of a column, and how long they may be. */
const maxDistinct = 20_000;
const maxKeptLength = 200;

/** A cell that is not like others of its column. */
export interface Cell {
  readonly line: number;
  readonly value: string;
}

/** What is noted of a column while all its rows go by. */
export class ColumnFacts {
  name: string;
  /** Values that were added, and those of them that are not empty. */
  count = 0;
  filled = 0;
  /** Different values that are not too long, with how often each occurs. */
  readonly values: Map<string, number> = new Map();
  /** The first value that is no number. */
  text: Cell | undefined;
  hasFraction = false;
  #longValues = 0;
  #length = 0;
  #sample = new Set<string>();
  #marks = 0;
  #lists = 0;

  constructor(name: string) {
    this.name = name;
  }

  add(line: number, value: unknown): void {
    const text =
      typeof value === "object" && value !== null ? JSON.stringify(value, exactly) : String(value ?? "");
    this.count++;
    this.#length += text.length;
    if (this.count <= textRows) this.#sample.add(text);
    if (text.length > maxKeptLength) this.#longValues++;
    else if (this.values.size < maxDistinct || this.values.has(text)) {
      this.values.set(text, (this.values.get(text) ?? 0) + 1);
    }
    if (text.trim() === "") return;
    this.filled++;
    const number = Number(text);
    if (!Number.isFinite(number)) this.text ??= { line, value: text.slice(0, maxKeptLength) };
    else if (!Number.isInteger(number)) this.hasFraction = true;
    if (markOf(value) !== undefined) this.#marks++;
    if (isList(value)) this.#lists++;
  }

  /** Different values; long ones are taken to differ. */
  get distinct(): number {
    return this.values.size + this.#longValues;
  }

  get meanLength(): number {
    return this.#length / Math.max(1, this.count);
  }

  /** Every value is a number; empty ones do not count. */
  get isNumeric(): boolean {
    return this.text === undefined;
  }

  /** Every value is 0 or 1. */
  get isMarks(): boolean {
    return this.count > 0 && this.#marks === this.count;
  }

  /** Every value is a list, or looks like one. */
  get isList(): boolean {
    return this.filled > 0 && this.#lists === this.filled;
  }

  /** The values of the first rows mostly differ. */
  get isVaried(): boolean {
    return this.#sample.size > Math.min(this.count, textRows) / 3;
  }

  /** There are two or more values that repeat. */
  get isRepeating(): boolean {
    return this.distinct > 1 && this.distinct <= Math.max(2, this.count / 3);
  }

  /** The values in order, without the empty one. */
  get labels(): string[] {
    return [...new Set([...this.values.keys()].map((value) => value.trim()))]
      .filter((value) => value !== "")
      .sort();
  }
}

function exactly(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

function isList(value: unknown): boolean {
  if (Array.isArray(value)) return !value.some((part) => typeof part === "object");
  if (typeof value !== "string") return false;
  const { kind } = readListCell(value);
  return kind === "list" || (kind === "broken" && value.trimStart().startsWith("["));
}
