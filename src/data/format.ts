import { type ErrorDetails, PtuningError } from "../core/index.ts";
import type { OpenSource } from "../files/index.ts";
import type { ExampleKind, ExampleKinds } from "./example.ts";
import type { ReadOptions } from "./options.ts";

/** One record of a table, with the line that it starts on. */
export interface Row {
  readonly line: number;
  /** By column name; without a header by number, from `"1"`. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a format is recognised by. */
export interface FileLook {
  /** Name without folders and without `.gz`, in lower case. */
  readonly name: string;
  /** First characters, unpacked; empty for a folder. */
  readonly start: string;
  /** Names in a folder; empty for a file. */
  readonly entries: readonly string[];
}

/** One file, or folder of parallel files, as a format gets it. */
export interface FormatInput {
  /** For messages. */
  readonly path: string;
  readonly options: ReadOptions;
  /**
   * Decoded text in pieces of any length, without byte order mark, unpacked and bounded.
   * @param file of a folder: the name in it
   */
  text(file?: string): AsyncIterable<string>;
  /** Random access, unpacked. The caller closes it. */
  bytes(): Promise<OpenSource>;
  /**
   * A record starts here. Where every record is to be answered for, one that gives no example is told of all the same.
   * @param fields where they are known: its id is taken from them
   */
  begin(line: number, fields?: Readonly<Record<string, unknown>>): void;
  /** A record that cannot be used: throws the error, or counts it where the options say so. */
  reject(error: unknown): void;
  /** The first characters, without byte order mark. */
  start(): Promise<string>;
  /** The same file for a look before it is read: nothing of it is counted. */
  ahead(): FormatInput;
  /** Says what was decided for the whole file, so that others of the same form are read alike. */
  settle(options: Partial<ReadOptions>): void;
  /**
   * Counts something for the warnings: `what` continues "12 …".
   * @param reason why the record gives no example, if it gives none: `an empty text`
   */
  notice(what: string, reason?: string): undefined;
  /** A warning on the file as a whole: a sentence without its full stop. */
  note(what: string): undefined;
}

/** Reads one kind of example from a file. */
export type Reader<K extends ExampleKind> = (input: FormatInput) => AsyncIterable<ExampleKinds[K]>;

/**
 * A file format. Shared code asks it what it needs to know and never which format it is.
 */
export interface Format {
  /** For messages: `SQuAD 1.1 or 2.0 (JSON)`. */
  readonly title: string;
  /** The kinds of example that it holds, each with what reads them; the first is the default. */
  readonly readers: { readonly [K in ExampleKind]?: Reader<K> };
  /** Whether a file looks like this. */
  fits(look: FileLook): boolean;
  /**
   * The options that a file which starts like this needs beside those that are given, or in place of those that do not
   * fit it; asked where it is guessed how to read a file.
   */
  guess?(start: string, given: ReadOptions): ReadOptions;
  /** Table formats: the records before columns are chosen. */
  readonly rows?: (input: FormatInput) => AsyncIterable<Row>;
  /** CSV and TSV: the first row may name the columns. */
  readonly hasHeader?: boolean;
  /** Separated values: what separates the cells of a file, if it is not the usual character. */
  readonly dialect?: (input: FormatInput) => Promise<string | undefined>;
  /** One file holds these splits; `options.split` chooses. */
  readonly splits?: readonly Split[];
}

/** Part of a data set. */
export type Split = "train" | "dev" | "test";

/** Whether the end of a file's name tells nothing of its format: there is none, or it names a split. */
export function isUntold(name: string): boolean {
  return !/\.\w+$/.test(name) || /\.(train|dev|val|valid|validation|trial|test)$/.test(name);
}

const errorLines = new WeakMap<PtuningError, number>();

/** An error about a line of a data file. */
export function dataError(path: string, line: number, what: string, details?: ErrorDetails): PtuningError {
  const error = new PtuningError("DATA_INVALID", `${path}: line ${line}: ${what}.`, details);
  errorLines.set(error, line);
  return error;
}

/** The line that an error is about, if it was made by {@link dataError}. */
export function lineOfError(error: PtuningError): number | undefined {
  return errorLines.get(error);
}
