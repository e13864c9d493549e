import type { Adapter } from "../adapters/index.ts";
import { PtuningError } from "../core/index.ts";
import {
  type DataRecord,
  type FormatName,
  formats,
  formatsOf,
  openRecords,
  type ReadOptions,
  textLines,
} from "../data/index.ts";
import type { Task } from "../tasks/index.ts";
import { readingFor } from "./training-columns.ts";

/** What is to be answered, record by record. */
export interface Asked {
  readonly records: AsyncIterable<DataRecord<unknown>>;
  /** What was noticed, once all were read. */
  warnings(): readonly string[];
}

/** Where texts come from: arguments, a file, or standard input. */
export interface AskedFlags {
  readonly input?: string;
  readonly text?: string;
  readonly pair?: string;
}

/** What a command line asks of an adapter. @throws OPTION_INVALID, DATA_NOT_FOUND, DATA_INVALID */
export async function whatIsAsked(
  adapter: Adapter,
  texts: readonly string[],
  flags: AskedFlags,
): Promise<Asked> {
  const { task } = adapter;
  const { input } = flags;
  if (input === undefined) {
    const make = exampleMaker(task);
    if (texts.length === 0) {
      return lines(textLines("standard input", { bytes: process.stdin }), make);
    }
    const records = texts.map((text, i) =>
      recordOf({ row: i + 1 }, text, (given) => make(given, flags.pair)),
    );
    return {
      records: (async function* () {
        yield* records;
      })(),
      warnings: () => [],
    };
  }
  const trained = (adapter.provenance.data?.table ?? {}) as ReadOptions;
  if (flags.text === undefined && task.fromText && (await isPlain(input, task, trained.encoding))) {
    const { encoding, maxUnpackedBytes } = trained;
    const options = {
      ...(encoding !== undefined && { encoding }),
      ...(maxUnpackedBytes !== undefined && { maxUnpackedBytes }),
    };
    return lines(textLines(input, options), exampleMaker(task));
  }
  const { records, warnings } = await openRecords(input, await readingFor(adapter, input, flags, false));
  return { records, warnings };
}

/** Whether a file is a text per line and nothing else, as standard input is. */
async function isPlain(path: string, { reads }: Task, encoding: string | undefined): Promise<boolean> {
  const plain: FormatName = "lines";
  const fitting = await formatsOf(path, encoding);
  return fitting.find((name) => name === plain || formats[name].readers[reads] !== undefined) === plain;
}

function lines(
  given: AsyncIterable<{ readonly line: number; readonly text: string }>,
  make: NonNullable<Task["fromText"]>,
): Asked {
  async function* records(): AsyncGenerator<DataRecord<unknown>> {
    for await (const { line, text } of given) yield recordOf({ row: line, line }, text, make);
  }
  return { records: records(), warnings: () => [] };
}

function recordOf(
  place: Pick<DataRecord<unknown>, "row" | "line">,
  text: string,
  make: (text: string) => unknown,
): DataRecord<unknown> {
  return text.trim() === "" ? { ...place, problem: "an empty text" } : { ...place, example: make(text) };
}

/** @throws OPTION_INVALID if an example of the task is more than a text */
function exampleMaker({ type, fromText }: Task): NonNullable<Task["fromText"]> {
  if (fromText !== undefined) return fromText;
  throw new PtuningError(
    "OPTION_INVALID",
    `predict: expected --input, as a text alone is no ${type} example.`,
    { hint: "Give a file in the form of the training data; labels may be missing." },
  );
}
