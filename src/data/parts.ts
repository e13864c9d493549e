import { basename } from "node:path";
import { PtuningError } from "../core/index.ts";
import type { Split } from "./format.ts";

/** File names by split. */
export type SplitFiles = { readonly [S in Split]?: readonly string[] };

const splitNames: Readonly<Record<string, Split>> = {
  train: "train",
  dev: "dev",
  val: "dev",
  valid: "dev",
  validation: "dev",
  trial: "dev",
  test: "test",
};

/** The split that a name speaks of: `train-00000-of-00001.parquet`, `dev32.jsonl`, `conll04_test.json`. */
export function splitOfName(name: string): Split | undefined {
  const word = /(?:^|[^a-z])(train|dev|validation|valid|val|trial|test)(?![a-z])/.exec(
    name.toLowerCase(),
  )?.[1];
  return word === undefined ? undefined : splitNames[word];
}

/**
 * The files of a folder by the split that their names speak of; numbered shards are one. `train.jsonl` goes before
 * `train.few.jsonl`.
 * @throws DATA_INVALID if several could be meant
 */
export function filesBySplit(folder: string, entries: readonly string[]): SplitFiles {
  const families = new Map<Split, Map<string, string[]>>();
  for (const entry of entries.toSorted()) {
    const stem = basename(entry).toLowerCase().replace(/\.gz$/, "");
    const split = splitOfName(stem);
    if (split === undefined || /\.(md|py)$/.test(stem)) continue;
    const ofSplit = families.get(split) ?? new Map<string, string[]>();
    families.set(split, ofSplit);
    const unnumbered = stem.replace(/-\d+-of-\d+/, "");
    const family = unnumbered === stem ? entry : unnumbered;
    ofSplit.set(family, [...(ofSplit.get(family) ?? []), entry]);
  }
  const files: { [S in Split]?: readonly string[] } = {};
  for (const [split, ofSplit] of families) {
    const exact = [...ofSplit].filter(
      ([family]) => splitNames[family.toLowerCase().replace(/(\.\w+)?(\.gz)?$/, "")] === split,
    );
    const chosen = exact.length > 0 ? exact : [...ofSplit];
    if (chosen.length > 1) {
      const names = chosen.flatMap(([, found]) => found).join(", ");
      throw new PtuningError("DATA_INVALID", `${folder}: expected one file for ${split}, got ${names}.`, {
        hint: "Give the paths of the files instead of the folder.",
      });
    }
    files[split] = chosen[0]![1];
  }
  return files;
}

/** A folder, or several paths, in which nothing is named like a training file. */
export function noTrainingFile(path: string): PtuningError {
  return new PtuningError(
    "DATA_NOT_FOUND",
    `${path}: expected a file for training, found none in the folder.`,
    { hint: "Name it train.… or give the path of the file." },
  );
}
