import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as z from "zod";
import { PtuningError, parseOptions } from "../core/index.ts";
import { writeFileAtomic } from "../files/index.ts";

/** What a key may do; what is not said, it may not. */
export interface Scopes {
  /** Names of adapters; `*` in one stands for any characters. Left out: none. */
  readonly adapters?: readonly string[];
  /** Whether it may read `/metrics`. */
  readonly metrics?: boolean;
  /** Whether it may load and unload adapters, on the port for that. */
  readonly admin?: boolean;
}

/** A key as a server holds it: never the key itself. */
export interface StoredKey extends Scopes {
  /** For logs. */
  readonly name: string;
  /** SHA-256 of the key, in hexadecimal. */
  readonly sha256: string;
}

/** Who asks: the name of the key, and what it may do. */
export interface Caller {
  readonly name: string;
  mayUse(adapter: string): boolean;
  readonly metrics: boolean;
  readonly admin: boolean;
}

const scopes = {
  adapters: z.array(z.string().min(1).max(300)).max(100_000).exactOptional(),
  metrics: z.boolean().exactOptional(),
  admin: z.boolean().exactOptional(),
};
const storedKeys: z.ZodType<{ keys: StoredKey[] }> = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(100),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits"),
        ...scopes,
      }),
    )
    .max(10_000),
});

/** Of a server without keys: whoever reaches it may do everything. */
export const anyone: Caller = { name: "anyone", mayUse: () => true, metrics: true, admin: true };

/**
 * The keys of a file: `{"keys": [{"name", "sha256", "adapters", "metrics", "admin"}]}`.
 * @throws OPTION_INVALID if it cannot be read or is not such
 */
export async function readKeys(path: string): Promise<StoredKey[]> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    // What the file holds stands in no message.
    const reason = cause instanceof SyntaxError ? "something that is no JSON" : (cause as Error).message;
    throw new PtuningError("OPTION_INVALID", `keys: expected a file with keys, got ${reason}.`, {
      hint: `ptuning serve add-key ${path} NAME --adapters "*" makes one.`,
    });
  }
  return parseOptions(storedKeys, json, path).keys;
}

/**
 * Makes a key and adds its hash to a file of keys, which need not exist yet.
 * @returns the key: 256 random bits, which are nowhere else
 * @throws OPTION_INVALID if the file is not such, or has a key of that name
 */
export async function addKey(path: string, name: string, allowed: Scopes): Promise<string> {
  const isThere = await readFile(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
  );
  const keys = isThere ? await readKeys(path) : [];
  if (keys.some((key) => key.name === name)) {
    throw new PtuningError("OPTION_INVALID", `keys: expected a new name, got "${name}", which ${path} has.`);
  }
  const key = `ptk_${randomBytes(32).toString("base64url")}`;
  const stored = parseOptions(storedKeys, { keys: [...keys, { name, sha256: hashOf(key), ...allowed }] });
  await writeFileAtomic(path, `${JSON.stringify(stored, null, 2)}\n`);
  return key;
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** The keys of a server. A look-up takes as long for a wrong key as for any right one. */
export class KeyRing {
  readonly #keys: readonly { readonly hash: Buffer; readonly caller: Caller }[];

  constructor(keys: readonly StoredKey[]) {
    this.#keys = keys.map((key) => ({ hash: Buffer.from(key.sha256, "hex"), caller: callerOf(key) }));
  }

  /** Who a header `Authorization: Bearer KEY` is of. @throws UNAUTHORIZED */
  callerOf(authorization: string | undefined): Caller {
    const [, key] = /^Bearer +([\x21-\x7e]{1,1000}) *$/i.exec(authorization ?? "") ?? [];
    const hash = createHash("sha256")
      .update(key ?? "")
      .digest();
    let found: Caller | undefined;
    for (const stored of this.#keys) {
      if (timingSafeEqual(stored.hash, hash)) found = stored.caller;
    }
    if (key !== undefined && found !== undefined) return found;
    throw new PtuningError(
      "UNAUTHORIZED",
      `authorization: expected a key of this server, got ${authorization === undefined ? "none" : "another"}.`,
      { hint: "Send the header Authorization: Bearer KEY." },
    );
  }
}

function callerOf({ name, adapters = [], metrics = false, admin = false }: StoredKey): Caller {
  const exact = new Set(adapters.filter((pattern) => !pattern.includes("*")));
  const patterns = adapters.filter((pattern) => pattern.includes("*")).map(patternOf);
  return {
    name,
    mayUse: (adapter) => {
      // Who may use an adapter may use each of its heads.
      const [whole] = adapter.split(":", 1);
      return [adapter, whole!].some(
        (known) => exact.has(known) || patterns.some((pattern) => pattern.test(known)),
      );
    },
    metrics,
    admin,
  };
}

function patternOf(glob: string): RegExp {
  const parts = glob.split(/\*+/).map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "su");
}
