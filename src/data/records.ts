import type { PtuningError } from "../core/index.ts";
import { lineOfError } from "./format.ts";

/** One record of a data file: with its example, or with why it gives none. */
export interface DataRecord<E> {
  /** Number of the record in its file, from 1; a header does not count. */
  readonly row: number;
  /** Line of the file that it starts on. */
  readonly line?: number;
  /** As its file has it. */
  readonly id?: string;
  readonly example?: E;
  /** Why there is no example: `an empty text`. */
  readonly problem?: string;
}

/** A record that was begun and gave no example so far. */
interface Open {
  readonly line: number | undefined;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
  readonly id: string | undefined;
  problem?: string;
}

/** Keys under which records have their id, likeliest first. */
const idKeys = ["id", "ID", "Id", "_id", "idx", "guid", "uid", "orig_id"];

function idOf(fields: Readonly<Record<string, unknown>>, column: string | number | undefined) {
  for (const key of column === undefined ? idKeys : [column]) {
    const value = fields[key];
    if (typeof value === "number" || typeof value === "bigint") return String(value);
    if (typeof value === "string" && value !== "") return value;
  }
  return undefined;
}

/**
 * Follows a reader: which records begin, which are refused, and which give examples; so that each can be answered for,
 * in the order of the file.
 */
export class RecordFollower {
  readonly #column: string | number | undefined;
  #open: Open | undefined;
  #last: Open | undefined;
  #rows = 0;
  #finished: Omit<DataRecord<never>, "row">[] = [];

  /** @param column of the ids, where it is known */
  constructor(column?: string | number) {
    this.#column = column;
  }

  begin(line: number, fields?: Readonly<Record<string, unknown>>): void {
    const open = this.#open;
    // A record may be begun twice: when its line is known, and when its fields are.
    const isSame = open?.line === line && (open.fields === undefined || open.fields === fields);
    if (!isSame) this.#close();
    const id = fields && idOf(fields, this.#column);
    this.#open = { line, fields, id, ...(isSame && open.problem && { problem: open.problem }) };
    this.#last = this.#open;
  }

  /** The record gives no example. */
  leaveOut(problem: string): void {
    if (this.#open) this.#open.problem ??= problem;
  }

  /** A record that cannot be read: the open one, or one that was never begun. */
  reject(error: PtuningError): void {
    const line = lineOfError(error);
    if (this.#open !== undefined && (line === undefined || line === this.#open.line)) {
      this.#open.problem = error.message;
      return;
    }
    this.#close();
    this.#finished.push({ ...(line !== undefined && { line }), problem: error.message });
  }

  /** The records that ended without an example before this one, and this one. */
  *give<E>(example: E & { readonly line?: number; readonly id?: string }): Generator<DataRecord<E>> {
    // Of several examples of one record all but the first come when it is no longer open.
    const own = this.#open ?? (this.#last?.line === example.line ? this.#last : undefined);
    this.#open = undefined;
    yield* this.#take();
    const line = example.line ?? own?.line;
    const named = example.id === `line ${example.line}` ? undefined : example.id;
    const id = named ?? own?.id;
    yield { row: ++this.#rows, ...(line !== undefined && { line }), ...(id && { id }), example };
  }

  /** The records that ended without an example behind the last one that had one. */
  *end(): Generator<DataRecord<never>> {
    this.#close();
    yield* this.#take();
  }

  #close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    const { line, id, problem = "nothing to answer" } = open;
    this.#finished.push({ ...(line !== undefined && { line }), ...(id && { id }), problem });
  }

  *#take(): Generator<DataRecord<never>> {
    const finished = this.#finished;
    this.#finished = [];
    for (const record of finished) yield { row: ++this.#rows, ...record };
  }
}
