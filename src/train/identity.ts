import { PtuningError } from "../core/index.ts";
import type { Dataset } from "../data/index.ts";
import { createSha256, hashText, hex } from "../files/portable.ts";
import type { AnyTrainOptions, NamedTask, ResolvedSettings } from "./options.ts";
import { startIdentity } from "./start.ts";

/** In front of identities that hold the rows themselves. */
const prefix = "sha256-v2:";

/** What a resumed run must have in common with the saved one: everything that decides the numbers of its updates. */
export function runIdentity(
  options: AnyTrainOptions,
  tasks: readonly NamedTask[],
  settings: ResolvedSettings,
): string {
  const { fingerprint } = options.backbone;
  return `${prefix}${identityOf(options, tasks, settings, fingerprint, ({ train, dev }) => [rowsHash(train), rowsHash(dev)])}`;
}

/**
 * Sees that a run goes on as it began.
 * @returns what could not be told, for people
 * @throws RUN_INVALID if the saved state is of another run
 */
export function checkIdentity(
  saved: string,
  own: string,
  options: AnyTrainOptions,
  tasks: readonly NamedTask[],
  settings: ResolvedSettings,
): readonly string[] {
  if (saved === own) return [];
  if (!saved.startsWith(prefix) && saved === formerIdentity(options, tasks, settings)) {
    return [
      "The saved state is of an earlier version, which recorded files and numbers of rows: that rows and weights are the same " +
        "down to the last cannot be told.",
    ];
  }
  throw new PtuningError(
    "RUN_INVALID",
    "resume: the saved state belongs to other data, rows, settings or backbone.",
    {
      hint: "Resume with the same configuration, the same files and the same rows in the same order, or start a new run.",
    },
  );
}

/** What states of version 0.1 before this one recorded. */
function formerIdentity(
  options: AnyTrainOptions,
  tasks: readonly NamedTask[],
  settings: ResolvedSettings,
): string {
  const { formerFingerprint = "" } = options.backbone;
  const counts = ({ train, dev }: Dataset<unknown>): unknown[] => [train.length, dev.length];
  return identityOf(options, tasks, settings, formerFingerprint, counts);
}

function identityOf(
  { method, start }: AnyTrainOptions,
  tasks: readonly NamedTask[],
  settings: ResolvedSettings,
  backbone: string,
  rowsOf: (data: Dataset<unknown>) => unknown[],
): string {
  const { checkpointSeconds, refit, blend, ...decisive } = settings;
  const facts = [
    backbone,
    tasks.map(({ name, task, data, weight = 1, selectBy = task.selectBy }) => [
      [name, task.type, task.options, weight, selectBy],
      [data.fingerprint, ...rowsOf(data)],
    ]),
    [method.name, method.options],
    decisive,
    ...(start ? [startIdentity(start)] : []),
  ];
  return hashText(JSON.stringify(facts));
}

/** A hash over the rows in their order; where in a file each began decides nothing. */
function rowsHash(rows: readonly unknown[]): string {
  const hash = createSha256();
  for (const row of rows) {
    const { line, ...decisive } = row as { readonly line?: number };
    hash.update(`${JSON.stringify(decisive)}\n`);
  }
  return hex(hash.digest());
}
