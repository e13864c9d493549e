import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { PtuningError } from "../core/index.ts";
import {
  cacheFolder,
  downloadFromHub,
  dropDeadLock,
  type Environment,
  isOffline,
  lockFile,
  makeFolder,
  type ProgressListener,
  readJson,
  writeFileAtomic,
} from "../files/index.ts";
import type { Split } from "./format.ts";
import { isRecord } from "./lines.ts";
import { type SplitFiles, splitOfName } from "./parts.ts";

/** The branch on which the hub keeps Parquet copies of data sets that have other files. */
const convertedBranch = "refs/convert/parquet";

/** Written last into a downloaded data set: without it the folder is not complete. */
const recordFile = "ptuning-dataset.json";

/** A data set repository: `hf:owner/name[@revision][/config]`. */
interface HubReference {
  readonly id: string;
  readonly revision?: string;
  readonly config?: string;
}

/** How a data set of the hub is fetched. */
export interface HubDatasetOptions {
  readonly env?: Environment;
  readonly onProgress?: ProgressListener;
}

/** Whether a path names a data set of the hub. */
export function isHubReference(path: string): boolean {
  return path.startsWith("hf:");
}

function parseReference(path: string): HubReference {
  const match = /^hf:([\w.-]+\/[\w.-]+)(?:@(refs\/[\w.-]+\/[\w.-]+|[\w.-]+))?(?:\/([\w.-]+))?$/.exec(path);
  if (match === null) {
    throw new PtuningError(
      "OPTION_INVALID",
      `data: expected hf:owner/name[@revision][/config], got "${path}".`,
    );
  }
  const [, id, revision, config] = match;
  return { id: id!, ...(revision !== undefined && { revision }), ...(config !== undefined && { config }) };
}

/**
 * Finds the Parquet files of a data set repository: in our cache, else on the hub. Which files make a split is read
 * from the repository's card, else from their names; without Parquet files the hub's own copy is taken.
 * @returns paths by split
 * @throws DOWNLOAD_FAILED, DATA_INVALID if there is no such configuration or no Parquet file
 */
export async function locateHubDataset(path: string, options: HubDatasetOptions = {}): Promise<SplitFiles> {
  const reference = parseReference(path);
  const env = options.env ?? process.env;
  const name = [reference.id, reference.revision, reference.config].filter((part) => part !== undefined);
  const folder = join(cacheFolder(env), "datasets", name.join("@").replaceAll("/", "--"));
  const cached = await readRecord(folder);
  if (cached !== undefined) {
    await dropDeadLock(`${folder}.lock`);
    return cached;
  }
  if (isOffline(env)) {
    throw new PtuningError("DOWNLOAD_FAILED", `${path}: HF_HUB_OFFLINE is set and the data set is not here.`);
  }
  await makeFolder(join(folder, ".."));
  const release = await lockFile(`${folder}.lock`, { what: `download of ${path}`, timeoutMs: 30 * 60_000 });
  try {
    return (await readRecord(folder)) ?? (await fetchInto(folder, path, reference, { ...options, env }));
  } finally {
    await release();
  }
}

async function readRecord(folder: string): Promise<SplitFiles | undefined> {
  const record = await readJson(join(folder, recordFile)).catch(() => undefined);
  return isRecord(record) ? inFolder(folder, record.files as SplitFiles) : undefined;
}

function inFolder(folder: string, files: SplitFiles): SplitFiles {
  const entries = Object.entries(files) as [Split, readonly string[]][];
  return Object.fromEntries(
    entries.map(([split, names]) => [split, names.map((name) => join(folder, name))]),
  );
}

async function fetchInto(
  folder: string,
  path: string,
  { id, revision, config }: HubReference,
  { env, onProgress }: HubDatasetOptions & { env: Environment },
): Promise<SplitFiles> {
  const fetchFiles = async (from: string | undefined, wants: (file: string) => boolean): Promise<string> =>
    downloadFromHub({
      id,
      type: "dataset",
      folder,
      env,
      wants,
      ...(from !== undefined && { revision: from }),
      ...(onProgress && { onProgress }),
    });
  for (const from of revision === undefined ? [undefined, convertedBranch] : [revision]) {
    const present: string[] = [];
    const commit = await fetchFiles(from, (file) => {
      if (file.endsWith(".parquet")) present.push(file);
      return file === "README.md";
    });
    if (present.length === 0) continue;
    const card = await readFile(join(folder, "README.md"), "utf8").catch(() => "");
    const files = chooseFiles(path, present, configsOfCard(card), config);
    const wanted = new Set(Object.values(files).flat());
    await fetchFiles(commit, (file) => wanted.has(file) || file === "README.md");
    const record = { id, config, commit, files, fetchedAt: new Date().toISOString() };
    await writeFileAtomic(join(folder, recordFile), `${JSON.stringify(record, null, 2)}\n`);
    return inFolder(folder, files);
  }
  throw new PtuningError("DATA_INVALID", `${path}: expected Parquet files in the repository, found none.`, {
    hint: "Download the data set's files and give their path.",
  });
}

/** A configuration of a data set: patterns of files by the split's name. */
interface CardConfig {
  readonly name: string;
  readonly isDefault: boolean;
  readonly patterns: readonly (readonly [split: string, pattern: string])[];
}

/** The configurations that a data set's card declares in its front matter. */
function configsOfCard(card: string): CardConfig[] {
  const front = /^---\r?\n([\s\S]*?)\r?\n---/.exec(card)?.[1];
  let parsed: unknown;
  try {
    parsed = front === undefined ? undefined : parse(front);
  } catch {
    return [];
  }
  if (!isRecord(parsed) || !Array.isArray(parsed.configs)) return [];
  return parsed.configs.filter(isRecord).map((config) => ({
    name: String(config.config_name ?? "default"),
    isDefault: config.default === true,
    patterns: [config.data_files].flat().flatMap((entry) => {
      if (typeof entry === "string") return [[splitOfName(entry) ?? "train", entry] as const];
      if (!isRecord(entry)) return [];
      return [entry.path].flat().map((pattern) => [String(entry.split), String(pattern)] as const);
    }),
  }));
}

/** The files of one configuration by split. */
function chooseFiles(
  path: string,
  present: readonly string[],
  declared: readonly CardConfig[],
  config: string | undefined,
): SplitFiles {
  const usable = declared.filter(({ patterns }) => patterns.length > 0);
  const configs = usable.length > 0 ? usable : configsOfFolders(present);
  const chosen =
    config !== undefined
      ? configs.find(({ name }) => name === config)
      : configs.length === 1
        ? configs[0]
        : (configs.find(({ isDefault }) => isDefault) ?? configs.find(({ name }) => name === "default"));
  if (chosen === undefined) {
    const names = configs.map(({ name }) => name).join(", ");
    throw new PtuningError(
      "DATA_INVALID",
      `${path}: expected one of the configurations ${names}, got ${config === undefined ? "none" : `"${config}"`}.`,
      { hint: `Write it behind the name: hf:owner/name/${configs[0]?.name}.` },
    );
  }
  const files: { [S in Split]?: string[] } = {};
  for (const [splitName, pattern] of chosen.patterns) {
    const split = splitOfName(splitName);
    if (split === undefined) continue;
    const matching = present.filter((file) => matchesGlob(pattern, file)).sort();
    files[split] = [...(files[split] ?? []), ...matching];
  }
  if (Object.values(files).flat().length > 0) return files;
  throw new PtuningError("DATA_INVALID", `${path}: expected Parquet files for train, found none.`);
}

/** Without a card: the first folder is the configuration, unless it is `data` or a split. */
function configsOfFolders(present: readonly string[]): CardConfig[] {
  const configs = new Map<string, [string, string][]>();
  for (const file of present) {
    const parts = file.split("/");
    const first = parts.length > 1 ? parts[0]! : "default";
    const name = first === "data" || splitOfName(first) !== undefined ? "default" : first;
    const split = splitOfName(parts.at(-1)!) ?? splitOfName(parts.at(-2) ?? "") ?? "train";
    configs.set(name, [...(configs.get(name) ?? []), [split, file]]);
  }
  return [...configs].map(([name, patterns]) => ({ name, isDefault: false, patterns }));
}

/** `*` stands for part of a name, `**` for any folders. */
function matchesGlob(pattern: string, file: string): boolean {
  const source = pattern
    .split(/(\*\*\/?|\*|\?)/)
    .map((part) =>
      part.startsWith("**")
        ? ".*"
        : part === "*"
          ? "[^/]*"
          : part === "?"
            ? "[^/]"
            : part.replace(/[.+^${}()|[\]\\]/g, "\\$&"),
    )
    .join("");
  return new RegExp(`^${source}$`).test(file);
}
