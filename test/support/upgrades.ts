/** What an earlier commit wrote (test/upgrades/COMMIT), in a folder as if it had been written there. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repository } from "./requirements.ts";

/** A job as Redis had it. */
interface OldJob {
  readonly id: string;
  readonly name: string;
  readonly data: { readonly id: string; readonly config: string; readonly [key: string]: unknown };
  readonly returnvalue: unknown;
}

/** What that commit answered. */
export interface Expected {
  readonly finished: readonly Answer[];
  readonly several: readonly Answer[];
  readonly tuned: readonly Answer[];
  readonly unfinished: Best;
  readonly "several-unfinished": Best;
  readonly jobs: { readonly completed: OldJob; readonly waiting: OldJob };
}

export interface Answer {
  readonly label: string;
  readonly probabilities: Readonly<Record<string, number>>;
}

/** The best evaluation of a run that went to its end. */
interface Best {
  readonly step: number;
  readonly loss: number;
  readonly scores: Readonly<Record<string, number>>;
}

/**
 * Copies the folder; its texts get the path of the copy, and its trials the ids that they would have had there: ids are
 * hashes over configurations with absolute paths.
 */
export function placeUpgrade(commit: string, root: string): Expected {
  cpSync(join(repository, "test/upgrades", commit), root, { recursive: true });
  const identities = JSON.parse(readFileSync(join(root, "trials.json"), "utf8")) as Record<string, string>;
  const ids = Object.entries(identities).map(([old, text]): [string, string] => [
    old,
    createHash("sha256").update(text.replaceAll("@ROOT@", root)).digest("hex").slice(0, 12),
  ]);
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith(".safetensors")) continue;
    const path = join(entry.parentPath, entry.name);
    const text = readFileSync(path, "utf8").replaceAll("@ROOT@", root);
    writeFileSync(
      path,
      ids.reduce((all, [old, id]) => all.replaceAll(old, id), text),
    );
  }
  for (const trials of readdirSync(root, { recursive: true }) as string[]) {
    if (!/(^|[/\\])trials$/.test(trials)) continue;
    for (const [old, id] of ids) {
      const place = join(root, trials, old);
      if (existsSync(place)) renameSync(place, join(dirname(place), id));
    }
  }
  return JSON.parse(readFileSync(join(root, "expected.json"), "utf8"));
}
