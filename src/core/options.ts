import type * as z from "zod";
import { PtuningError } from "./errors.ts";
import { shown } from "./shown.ts";

/**
 * Options that came from a file or a program without types, checked by their schema.
 * @param where stands in front of the key: `task.options`
 * @throws OPTION_INVALID naming the first key that does not fit
 */
export function parseOptions<T>(schema: z.ZodType<T, unknown>, options: unknown, where = ""): T {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  throw new PtuningError("OPTION_INVALID", `${issueText(parsed.error.issues[0]!, options, where)}.`);
}

/** What is wrong with a value: `key.path: expected …, got …`. */
export function issueText(issue: z.core.$ZodIssue, value: unknown, where = ""): string {
  const inner = issue.code === "invalid_union" ? deepest(issue) : undefined;
  if (inner !== undefined) return issueText(inner, value, where);
  const at = [...(where === "" ? [] : [where]), ...issue.path].join(".") || "value";
  if (issue.code === "unrecognized_keys")
    return `${at}: expected known keys, got ${issue.keys.map((key) => shown(key)).join(", ")}`;
  const expected =
    issue.code === "invalid_union"
      ? issue.message.replace("Invalid input", "another kind of value")
      : issue.message
          .replace(/^Invalid (input|option|string): /, "")
          .replace(/^Too (small|big): /, "")
          .replace(/, received .*$/, "")
          .replace(/^expected /, "");
  return `${at}: expected ${expected}, got ${shown(valueAt(value, issue.path))}`;
}

/** What is wrong inside a value that no branch of a union takes, in the branch that got furthest; nothing if none did. */
function deepest({ path, errors }: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue | undefined {
  const inside = errors.flat().filter((one) => one.path.length > 0);
  const [inner] = inside.toSorted((a, b) => b.path.length - a.path.length);
  return inner && { ...inner, path: [...path, ...inner.path] };
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, key)
        ? (inner as Record<PropertyKey, unknown>)[key]
        : undefined,
    value,
  );
}

/** Options without the keys that are set to `undefined`. */
export function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
