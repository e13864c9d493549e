import { isMap, isScalar, LineCounter, type ParsedNode, parseDocument, parse as parseYaml } from "yaml";
import type * as z from "zod";
import { closest, PtuningError } from "../core/index.ts";
import type { RunConfig } from "./config.ts";
import { runSchema } from "./schema.ts";

/** Names with a meaning in JavaScript objects: never keys of a configuration. */
const forbiddenKeys = new Set(["__proto__", "constructor", "prototype"]);

/** Where a configuration comes from. */
export interface ConfigSource {
  /** YAML (or JSON) text; without it everything comes from `overrides`. */
  readonly text?: string;
  /** For messages: the file's name. */
  readonly where?: string;
  /** `path.to.key=value` assignments that win over the text; values are YAML. */
  readonly overrides?: readonly string[];
}

/**
 * Parses and checks a configuration; every default that does not depend on data or backbone is filled in.
 * @throws CONFIG_INVALID naming file, line and key, with the nearest valid name for an unknown one
 */
export function parseConfig({ text = "", where = "config", overrides = [] }: ConfigSource): RunConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const at = problem.linePos?.[0].line;
    throw invalid(
      `${where}${at ? `:${at}` : ""}: ${problem.message.split("\n")[0]!.replace(/:$/, "")}`,
      problem,
    );
  }
  const lineOf = (path: readonly PropertyKey[]): string => {
    const key = path.join(".");
    if (overrides.some((override) => key.startsWith(override.slice(0, override.indexOf("=")))))
      return "command line";
    const node = nodeAt(document.contents, path);
    return node?.range ? `${where}:${lines.linePos(node.range[0]).line}` : where;
  };
  const json: unknown = document.toJS({ maxAliasCount: 100 }) ?? {};
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalid(`${where}: expected keys and values, got ${Array.isArray(json) ? "a list" : typeof json}.`);
  }
  refuseForbiddenKeys(json, (key) => invalid(`${where}: the key "${key}" is not allowed.`));
  for (const override of overrides) applyOverride(json as Record<string, unknown>, override);
  return checkConfig(json, lineOf);
}

/**
 * Checks a configuration that is there already as values.
 * @param whereOf where the value at a path comes from, for messages
 * @throws CONFIG_INVALID
 */
export function checkConfig(json: unknown, whereOf: (path: readonly PropertyKey[]) => string): RunConfig {
  const parsed = runSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map((issue) => issueText(issue, json, whereOf)).join("\n"));
}

function invalid(message: string, cause?: unknown): PtuningError {
  return new PtuningError("CONFIG_INVALID", message, { cause });
}

/** The node at a path, or the deepest one that exists on the way. */
function nodeAt(node: ParsedNode | null, path: readonly PropertyKey[]): ParsedNode | null {
  const [key, ...rest] = path;
  if (key === undefined || !isMap(node)) return node;
  const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
  if (pair === undefined) return node;
  return rest.length === 0 ? (pair.key as ParsedNode) : nodeAt(pair.value as ParsedNode | null, rest);
}

function refuseForbiddenKeys(value: unknown, fail: (key: string) => PtuningError): void {
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.getOwnPropertyNames(value)) {
    if (forbiddenKeys.has(key)) throw fail(key);
    refuseForbiddenKeys((value as Record<string, unknown>)[key], fail);
  }
}

function applyOverride(config: Record<string, unknown>, override: string): void {
  const at = override.indexOf("=");
  const path = override.slice(0, at).trim().split(".");
  if (at < 1 || path.some((key) => key === "")) {
    throw invalid(`--set ${override}: expected key.path=value.`);
  }
  const forbidden = path.find((key) => forbiddenKeys.has(key));
  if (forbidden !== undefined) throw invalid(`--set ${override}: the key "${forbidden}" is not allowed.`);
  const value = parseValue(override.slice(at + 1));
  refuseForbiddenKeys(value, (key) => invalid(`--set ${override}: the key "${key}" is not allowed.`));
  let target = config;
  for (const key of path.slice(0, -1)) {
    const inner = Object.hasOwn(target, key) ? target[key] : undefined;
    if (typeof inner === "object" && inner !== null && !Array.isArray(inner)) {
      target = inner as Record<string, unknown>;
    } else {
      const created: Record<string, unknown> = {};
      target[key] = created;
      target = created;
    }
  }
  target[path.at(-1)!] = value;
}

/** YAML where it is YAML, else the text as it is: regular expressions seldom are. */
function parseValue(text: string): unknown {
  try {
    return parseYaml(text);
  } catch {
    return text;
  }
}

function issueText(
  issue: z.core.$ZodIssue,
  json: unknown,
  lineOf: (path: readonly PropertyKey[]) => string,
): string {
  const { path } = issue;
  if (issue.code === "unrecognized_keys") {
    return issue.keys
      .map((key) => {
        const known = keysAt(path, json);
        const near = closest(key, known);
        const suggestion = near ? ` Did you mean "${near}"?` : ` Known: ${known.join(", ")}.`;
        return `${lineOf([...path, key])}: ${[...path, key].join(".")}: unknown key.${suggestion}`;
      })
      .join("\n");
  }
  const got = path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    json,
  );
  const description = got === undefined ? "nothing" : JSON.stringify(got);
  // Where a discriminator fits no member, the issue names those that there are.
  const choices = ((issue as { options?: readonly unknown[] }).options ?? []).filter(Boolean);
  const expected =
    issue.code === "invalid_union"
      ? choices.length > 0
        ? `one of ${choices.join(", ")}`
        : "another kind of value"
      : issue.message
          .replace(/^Invalid (input|option): /, "")
          .replace(/^Too (small|big): /, "")
          .replace(/, received .*$/, "")
          .replace(/^expected /, "");
  return `${lineOf(path)}: ${path.join(".")}: expected ${expected}, got ${description}.`;
}

/** The keys that the schema knows at a path. */
function keysAt(path: readonly PropertyKey[], json: unknown): string[] {
  let [schema, value]: [unknown, unknown] = [runSchema, json];
  for (const key of path) {
    schema = shapeOf(schema, value)[key as string];
    value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  }
  return Object.keys(shapeOf(schema, value));
}

/** The parts of an object's schema; of a union's where one of them fits the value's discriminator. */
export function shapeOf(schema: unknown, value: unknown): Readonly<Record<string, unknown>> {
  const inner = unwrap(schema) as {
    shape?: Record<string, unknown>;
    options?: readonly { shape?: Record<string, { values?: Set<unknown> }> }[];
    def?: { discriminator?: string };
  };
  const key = inner?.def?.discriminator;
  if (key === undefined) return inner?.shape ?? {};
  const wanted = (value as Record<string, unknown> | undefined)?.[key];
  return (
    inner.options?.find(({ shape }) => shape?.[key]?.values?.has(wanted))?.shape ??
    inner.options?.[0]?.shape ??
    {}
  );
}

/** The schema inside defaults and optionals. */
function unwrap(schema: unknown): unknown {
  const inner = (schema as { def?: { innerType?: unknown } } | undefined)?.def?.innerType;
  return inner === undefined ? schema : unwrap(inner);
}
