import { findSecret, hideSecrets, PtuningError } from "../core/index.ts";

/** Keys of secrets; `tokens` is a column of words. */
const secretKeys = /token$|secret|password|passwd|api.?key|authorization/i;

/**
 * A copy without secrets, for logs and pages. Never for what is read back: a path that only looks like a token would be
 * lost. What is read back holds no secrets because {@link refuseSecrets} lets none in.
 */
export function redact<T>(value: T): T {
  return walk(value) as T;
}

function walk(value: unknown): unknown {
  if (typeof value === "string") return hideSecrets(value);
  if (Array.isArray(value)) return value.map(walk);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      hideSecrets(key),
      secretKeys.test(key) && typeof inner === "string" ? "***" : walk(inner),
    ]),
  );
}

/**
 * Refuses a configuration with a secret in it: it is written into run folders, jobs and adapters, which get published.
 * @param whereOf where the value at a path comes from, for the message
 * @throws CONFIG_INVALID naming the key, never the value
 */
export function refuseSecrets(config: unknown, whereOf: (path: readonly PropertyKey[]) => string): void {
  const found = findSecret(config);
  if (found === undefined) return;
  const { path, kind, inKey } = found;
  const shown = inKey ? [...path.slice(0, -1), "***"] : path;
  throw new PtuningError(
    "CONFIG_INVALID",
    `${whereOf(inKey ? path.slice(0, -1) : path)}: ${shown.join(".")}: expected no secret, got what looks like ${kind}.`,
    {
      hint:
        "Configurations are kept in run folders, and adapters get published. Tokens belong into the environment " +
        "(HF_TOKEN); a file or folder whose name looks like one needs another name.",
    },
  );
}
