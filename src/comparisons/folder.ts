import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { PtuningError, systemCode } from "../core/index.ts";
import {
  expectOwnFolder,
  holdFolder,
  isTemporaryName,
  renameFirmly,
  sweepTemporaries,
  temporaryName,
  writeFileAtomic,
} from "../files/index.ts";
import { type Comparison, comparisonCsv, comparisonMarkdown, renderComparison } from "../report/index.ts";
import { readTrialResult } from "../trials/index.ts";
import type { ComparisonPlan } from "./plan.ts";

/** What the folder of a comparison holds beside its lock. */
const names = {
  json: "comparison.json",
  csv: "comparison.csv",
  markdown: "comparison.md",
  html: "comparison.html",
  figure: "figure.svg",
  /** A folder per run. */
  trials: "trials",
  lock: "comparison.lock",
} as const;

/** A comparison on disk. */
export interface ComparisonFolder {
  readonly trials: string;
  /** Path of the page. */
  readonly page: string;
  /** What could not be told of what was there, for people. */
  readonly doubts: readonly string[];
  /** Writes table, figure and page anew. */
  write(comparison: Comparison): Promise<void>;
  /** Gives the folder free. */
  close(): Promise<void>;
}

/**
 * Opens the folder of a comparison, new or begun earlier; what ran there is kept.
 * @param plan says which data and which backbone
 * @param anew removes what is there
 * @throws OUTPUT_EXISTS if the folder holds other files; RUN_INVALID if it was begun with other data or another backbone; LOCKED
 */
export async function openComparison(
  folder: string,
  plan: Pick<ComparisonPlan, "fingerprints" | "formerBackbone">,
  anew = false,
): Promise<ComparisonFolder> {
  const expect = (): Promise<boolean> =>
    expectOwnFolder(folder, {
      what: "a comparison",
      traces: [names.lock],
      isOurs: () => holdsComparison(folder),
    });
  return holdFolder(folder, { what: "comparison", lock: names.lock, expect }, async (close) => {
    const path = (name: keyof typeof names): string => join(folder, names[name]);
    await sweepTemporaries(folder, { isSole: true });
    if (anew) await removeAll(folder);
    const doubts = await checkSame(path("json"), folder, plan);
    return {
      trials: path("trials"),
      page: path("html"),
      doubts,
      async write(comparison) {
        const { html, svg } = await renderComparison(comparison);
        await writeFileAtomic(path("json"), `${JSON.stringify(comparison, null, 2)}\n`);
        await writeFileAtomic(path("csv"), comparisonCsv(comparison));
        if (svg !== undefined) await writeFileAtomic(path("figure"), svg);
        const figure = svg === undefined ? undefined : names.figure;
        await writeFileAtomic(path("markdown"), comparisonMarkdown(comparison, figure));
        await writeFileAtomic(path("html"), html);
      },
      close,
    };
  });
}

/** By its record; before there is one, by trials that have begun. */
async function holdsComparison(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, names.json), "utf8").catch(() => undefined);
  if (text !== undefined) return isRecord(text);
  const others = (await readdir(folder)).filter((name) => name !== names.lock && !isTemporaryName(name));
  if (others.some((name) => name !== names.trials)) return false;
  const trials = await readdir(join(folder, names.trials)).catch((): string[] => ["?"]);
  const begun = await Promise.all(
    trials.map((id) => readdir(join(folder, names.trials, id)).catch((): string[] => [])),
  );
  return begun.every((files) => files.length === 0 || files.includes("trial.yaml"));
}

function isRecord(text: string): boolean {
  try {
    const { fingerprints, variants } = JSON.parse(text);
    return typeof fingerprints === "object" && Array.isArray(variants);
  } catch {
    return false;
  }
}

/**
 * Takes away what is there. The trials first and the record last: a process that is killed in between leaves no runs
 * that nobody knows the data of. They are renamed at once, as deleting takes a while.
 */
async function removeAll(folder: string): Promise<void> {
  const { lock, trials, json, ...rest } = names;
  const rubbish = temporaryName(join(folder, "comparison"));
  await mkdir(rubbish);
  for (const name of [trials, ...Object.values(rest), json]) {
    await renameFirmly(join(folder, name), join(rubbish, name)).catch((error: unknown) => {
      if (systemCode(error) !== "ENOENT") throw error;
    });
  }
  await rm(rubbish, { recursive: true, force: true });
}

async function checkSame(
  path: string,
  folder: string,
  {
    fingerprints: { data, backbone },
    formerBackbone,
  }: Pick<ComparisonPlan, "fingerprints" | "formerBackbone">,
): Promise<readonly string[]> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return [];
  const known = (JSON.parse(text) as Comparison).fingerprints;
  const isFormer = known.backbone === formerBackbone;
  const isOther = known.backbone !== backbone && !isFormer;
  const what = known.data !== data ? "data" : isOther ? "backbone" : undefined;
  if (what === undefined) {
    if (!isFormer) return [];
    return [
      "The comparison was begun by an earlier version, whose fingerprint of the backbone saw a part of the weights: whether all " +
        "of them are those that it began with cannot be told.",
    ];
  }
  throw new PtuningError(
    "RUN_INVALID",
    `${folder}: expected a comparison on the same ${what}, got another.`,
    {
      hint: "Choose another --output, or start over with --overwrite.",
    },
  );
}

/** Forgets the runs that failed, so that they run again. @param trials their folder */
export async function forgetFailures(trials: string): Promise<void> {
  for (const id of await readdir(trials).catch((): string[] => [])) {
    const result = await readTrialResult(join(trials, id));
    if (result?.status === "failed") await rm(join(trials, id), { recursive: true });
  }
}
