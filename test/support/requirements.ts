/**
 * What some tests need beside Node. `npm test` fetches what it can and says what is missing; here is only looked.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { referenceEnvironment } from "../../tools/reference/run.mjs";

export const repository: string = new URL("../..", import.meta.url).pathname;

/** Long comparisons run whole where nothing may be skipped, and on a part of their inputs elsewhere. */
export const isThorough: boolean = process.env.PTUNING_REQUIRE_ALL === "1";

/** The data sets beside the checkout. */
export const sharedData: string = join(repository, "../shared/data");

/** Debian's Chromium. */
export const chromiumPath = "/usr/bin/chromium";

/** Debian's Redis server. */
export const redisServer = "/usr/bin/redis-server";

export const has: {
  readonly python: boolean;
  readonly data: boolean;
  readonly minilm: boolean;
  readonly chromium: boolean;
  readonly redis: boolean;
} = {
  /** Pinned PyTorch, transformers and PEFT. */
  python: existsSync(join(referenceEnvironment.folder, "ready")),
  data: existsSync(sharedData),
  chromium: existsSync(chromiumPath),
  redis: existsSync(redisServer),
  /** Real weights in our cache. */
  minilm: existsSync(
    join(
      process.env.PTUNING_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "ptuning"),
      "backbones/sentence-transformers--all-MiniLM-L6-v2/ptuning-source.json",
    ),
  ),
};
