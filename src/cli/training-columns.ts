import type { Adapter } from "../adapters/index.ts";
import type { ExampleKind } from "../data/index.ts";
import { formats, goldOptions, guessReading, type ReadOptions, type ReadOptionsFor } from "../data/index.ts";
import { parseColumn, parseColumns } from "./columns.ts";

/** How a file is read for an adapter: as the user says, else as in training, else as the file looks. */
export async function readingFor(
  adapter: Adapter,
  path: string,
  flags: { readonly text?: string; readonly label?: string; readonly labelPattern?: string },
  needsGold = true,
): Promise<ReadOptionsFor<ExampleKind>> {
  const { reads: kind } = adapter.task;
  const given: ReadOptions = {
    ...(flags.text && { text: parseColumns(flags.text) }),
    ...(flags.label && { label: parseColumn(flags.label) }),
    ...(flags.labelPattern && { labelPattern: flags.labelPattern }),
  };
  const trained = (adapter.provenance.data?.table ?? {}) as ReadOptions;
  const isGiven = Object.keys(given).length > 0;
  const known = isGiven ? given : trained;
  const options = known.text === undefined ? await completed(path, known, kind) : known;
  const kept = Object.entries(options).filter(
    ([key]) => needsGold || !(goldOptions as readonly string[]).includes(key),
  );
  return { ...Object.fromEntries(kept), ...adapter.task.reading, kind, gold: needsGold };
}

/** Columns of a table are as they were in training; a format that guesses its own was told them. */
async function completed(path: string, known: ReadOptions, kind: ExampleKind): Promise<ReadOptions> {
  const { format, options } = await guessReading(path, known, kind);
  return formats[format].rows === undefined ? { ...known, ...options } : { ...options, ...known };
}
