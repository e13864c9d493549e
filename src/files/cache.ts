import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Environment variables, `process.env` unless a caller gives others. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Our cache folder: `PTUNING_CACHE`, else `ptuning` in `XDG_CACHE_HOME` or `~/.cache`. */
export function cacheFolder(env: Environment = process.env): string {
  if (env.PTUNING_CACHE) return resolve(env.PTUNING_CACHE);
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "ptuning");
}

/** Whether `HF_HUB_OFFLINE` forbids to ask the hub. */
export function isOffline(env: Environment = process.env): boolean {
  return ["1", "true", "yes", "on"].includes((env.HF_HUB_OFFLINE ?? "").toLowerCase());
}

/** Where the Hugging Face libraries keep their downloads. */
export function hubCacheFolder(env: Environment = process.env): string {
  if (env.HF_HUB_CACHE) return resolve(env.HF_HUB_CACHE);
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface");
  return join(resolve(home), "hub");
}

/**
 * The snapshot of a model in an existing hub cache, if it holds all of `files` (alternatives in a list count as
 * one).
 */
export async function findInHubCache(
  id: string,
  files: readonly (readonly string[])[],
  env: Environment = process.env,
): Promise<string | undefined> {
  const repository = join(hubCacheFolder(env), `models--${id.replaceAll("/", "--")}`);
  const main = await readFile(join(repository, "refs", "main"), "utf8").catch(() => undefined);
  if (main === undefined) return undefined;
  const snapshot = join(repository, "snapshots", main.trim());
  const present = new Set(await readdir(snapshot).catch(() => []));
  const complete = files.every((alternatives) => alternatives.some((file) => present.has(file)));
  return complete ? snapshot : undefined;
}
