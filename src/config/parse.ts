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
  const parsed = runSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map((issue) => issueText(issue, json, lineOf)).join("\n"));
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
        const problem = foreignKey(path, key, json) ?? `unknown key.${suggestion}`;
        return `${lineOf([...path, key])}: ${[...path, key].join(".")}: ${problem}`;
      })
      .join("\n");
  }
  const got = path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    json,
  );
  const description = got === undefined ? "nothing" : JSON.stringify(got);
  const expected =
    issue.code === "invalid_union"
      ? (kindsAt(path, json) ?? "another kind of value")
      : issue.message
          .replace(/^Invalid (input|option): /, "")
          .replace(/^Too (small|big): /, "")
          .replace(/, received .*$/, "")
          .replace(/^expected /, "");
  return `${lineOf(path)}: ${path.join(".")}: expected ${expected}, got ${description}.`;
}

/** The schema at a path of a configuration. */
function schemaAt(path: readonly PropertyKey[], json: unknown): unknown {
  let schema = unwrap(runSchema, json);
  let value = json;
  for (const key of path) {
    value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
    schema = unwrap(shapeOf(schema)[key], value);
  }
  return schema;
}

/** The keys that the schema knows at a path. */
function keysAt(path: readonly PropertyKey[], json: unknown): string[] {
  return Object.keys(shapeOf(schemaAt(path, json)));
}

/** The kinds among which the discriminator at a path chooses: `one of "a"|"b"`. */
function kindsAt(path: readonly PropertyKey[], json: unknown): string | undefined {
  const { discriminator, options = [] } = definition(core(parentSchema(path, json)));
  if (discriminator === undefined || discriminator !== path.at(-1)) return undefined;
  return `one of ${options.map((option) => JSON.stringify(kindOf(option, discriminator))).join("|")}`;
}

/** The schema of what holds the key at the end of a path, before any kind is chosen. */
function parentSchema(path: readonly PropertyKey[], json: unknown): unknown {
  return shapeOf(schemaAt(path.slice(0, -2), json))[path.at(-2) ?? ""];
}

function kindOf(option: unknown, discriminator: string): unknown {
  return definition(shapeOf(option)[discriminator]).values?.[0];
}

/** What to say of a key that belongs to another kind: "a key of p-tuning-v2, not of bitfit". */
function foreignKey(path: readonly PropertyKey[], key: string, json: unknown): string | undefined {
  const { discriminator, options = [] } = definition(core(parentSchema([...path, key], json)));
  if (discriminator === undefined) return undefined;
  const owners = options
    .filter((option) => key in shapeOf(option))
    .map((owner) => kindOf(owner, discriminator));
  if (owners.length === 0) return undefined;
  return `a key of ${owners.join(" and ")}, not of ${kindOf(schemaAt(path, json), discriminator)}.`;
}

interface Definition {
  readonly innerType?: unknown;
  /** Output of a preprocessing step. */
  readonly out?: unknown;
  readonly discriminator?: string;
  readonly options?: readonly unknown[];
  readonly values?: readonly unknown[];
}

function definition(schema: unknown): Definition {
  return (schema as { def?: Definition } | undefined)?.def ?? {};
}

function shapeOf(schema: unknown): Readonly<Record<PropertyKey, unknown>> {
  return (schema as { shape?: Record<PropertyKey, unknown> } | undefined)?.shape ?? {};
}

/** The schema inside defaults, optionals and preprocessing. */
function core(schema: unknown): unknown {
  const { innerType, out } = definition(schema);
  const inner = innerType ?? out;
  return inner === undefined ? schema : core(inner);
}

/** The schema inside defaults and optionals; of a choice between kinds the one that `value` names, else the first. */
export function unwrap(schema: unknown, value?: unknown): unknown {
  const inner = core(schema);
  const { discriminator, options } = definition(inner);
  if (discriminator === undefined || options === undefined) return inner;
  const kind = (value as Record<string, unknown> | null | undefined)?.[discriminator];
  return options.find((option) => kindOf(option, discriminator) === kind) ?? options[0];
}
