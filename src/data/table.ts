import { PtuningError } from "../core/index.ts";
import { type DatasetOptions, readDataset } from "./dataset.ts";
import type { Dataset } from "./example.ts";
import type { ReadOptions } from "./options.ts";

/** How one table file with texts is read. */
export type TableOptions = Omit<ReadOptions, "kind"> & Required<Pick<ReadOptions, "text">>;

/**
 * Reads labelled texts for training from a table. Without a dev file a share of the rows is split off: seeded, the
 * same share of each label, equal texts on one side.
 *
 * @throws DATA_NOT_FOUND, DATA_INVALID, OPTION_INVALID
 * @example
 * const data = await readTable("examples/01-support-intents/train.csv", { text: "text", label: "intent" });
 * console.log(data.labels.length); // 8
 */
export async function readTable(
  path: string | readonly string[],
  options: DatasetOptions & TableOptions,
): Promise<Dataset> {
  if (options.label === undefined && options.labelPattern === undefined) {
    throw new PtuningError("OPTION_INVALID", "label: expected the column of the labels, got none.");
  }
  return readDataset<"text">(path, { ...options, kind: "text" });
}
