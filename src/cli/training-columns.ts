import type { Adapter } from "../adapters/index.ts";
import { guessTable, type TableOptions } from "../data/index.ts";
import { parseColumn, parseColumns } from "./columns.ts";

/** The columns of a table file: as the user says, else as in training, else guessed from the file. */
export async function columnsFor(
  adapter: Adapter,
  path: string,
  flags: { readonly text?: string; readonly label?: string; readonly labelPattern?: string },
  needsLabel = true,
): Promise<TableOptions> {
  const trained = adapter.provenance.data?.table as TableOptions | undefined;
  const given: Partial<TableOptions> = {
    ...(flags.text && { text: parseColumns(flags.text) }),
    ...(flags.label && { label: parseColumn(flags.label) }),
    ...(flags.labelPattern && { labelPattern: flags.labelPattern }),
  };
  const known = Object.keys(given).length > 0 ? given : (trained ?? {});
  if (known.text !== undefined) {
    const { label, labelPattern, text, ...rest } = known;
    const labelled = {
      ...(label !== undefined && { label }),
      ...(labelPattern !== undefined && { labelPattern }),
    };
    return { ...rest, text, ...(needsLabel && labelled) };
  }
  const { text, label, labelPattern, format, header } = await guessTable(path, given);
  return {
    format,
    header,
    text,
    ...(needsLabel && label !== undefined && { label }),
    ...(needsLabel && labelPattern !== undefined && { labelPattern }),
    ...given,
  };
}
