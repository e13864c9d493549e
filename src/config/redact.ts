/** Texts that look like access tokens of hubs and code forges, and passwords inside addresses. */
const secrets: readonly [RegExp, string][] = [
  [/\b(hf|api|ghp|gho|github_pat|sk)_?[-_][A-Za-z0-9_-]{12,}/g, "[redacted]"],
  [/\bhf_[A-Za-z0-9]{8,}/g, "[redacted]"],
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, "$1[redacted]@"],
];
/** Keys of secrets; `tokens` is a column of words. */
const secretKeys = /token$|secret|password|passwd|api.?key|authorization/i;

/** A copy without secrets, for everything that is written to disk or shown. */
export function redact<T>(value: T): T {
  return walk(value) as T;
}

function walk(value: unknown): unknown {
  if (typeof value === "string")
    return secrets.reduce((text, [pattern, by]) => text.replace(pattern, by), value);
  if (Array.isArray(value)) return value.map(walk);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      secretKeys.test(key) && typeof inner === "string" ? "[redacted]" : walk(inner),
    ]),
  );
}
