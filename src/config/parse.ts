import type * as z from "zod";
import { closest, PtuningError, shown } from "../core/index.ts";
import type { AnyRunConfig, RunConfig } from "./config.ts";
import { refuseSecrets } from "./redact.ts";
import { multiTaskSchema, runSchema } from "./schema.ts";
import { readYaml, yamlValue } from "./yaml.ts";

/** An assignment to it changes an object's prototype: never a key of a configuration. Others may be labels of users. */
const forbiddenKeys = new Set(["__proto__"]);

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
 * Parses and checks the configuration of a run of one task; every default that does not depend on data or backbone is
 * filled in.
 * @throws CONFIG_INVALID naming file, line and key, with the nearest valid name for an unknown one
 */
export function parseConfig(source: ConfigSource): RunConfig {
  const config = parseRunConfig(source);
  if (!("tasks" in config)) return config;
  throw invalid(`${source.where ?? "config"}: tasks: expected the data of one task here, got several tasks.`);
}

/**
 * Parses and checks the configuration of a run of one task or of several.
 * @throws CONFIG_INVALID as {@link parseConfig}
 */
export function parseRunConfig({ text = "", where = "config", overrides = [] }: ConfigSource): AnyRunConfig {
  const document = readYaml(text, where);
  const lineOf = (path: readonly PropertyKey[]): string => {
    const key = path.join(".");
    const assigned = overrides.map((override) => override.slice(0, override.indexOf("=")));
    const isMade = !document.has(path) && assigned.some((one) => one.startsWith(`${key}.`));
    if (isMade || assigned.some((one) => key.startsWith(one))) return "command line";
    return document.whereIs(path);
  };
  const json: unknown = document.values ?? {};
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalid(`${where}: expected keys and values, got ${Array.isArray(json) ? "a list" : typeof json}.`);
  }
  refuseForbiddenKeys(json, (key) => invalid(`${where}: the key "${key}" is not allowed.`));
  for (const override of overrides) applyOverride(json as Record<string, unknown>, override);
  return "tasks" in json ? check(multiTaskSchema, json, lineOf) : checkConfig(json, lineOf);
}

/**
 * Checks a configuration that is there already as values.
 * @param whereOf where the value at a path comes from, for messages
 * @throws CONFIG_INVALID
 */
export function checkConfig(json: unknown, whereOf: (path: readonly PropertyKey[]) => string): RunConfig {
  return check(runSchema, json, whereOf);
}

function check<T>(
  schema: z.ZodType<T, unknown>,
  json: unknown,
  whereOf: (path: readonly PropertyKey[]) => string,
): T {
  refuseSecrets(json, whereOf);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map((issue) => issueText(issue, json, whereOf)).join("\n"));
}

/**
 * A configuration with other values at some keys.
 * @param values by dotted path: `{ "training.learningRate": 1e-2 }`
 * @param sourceOf where the value of a key comes from, for messages
 * @throws CONFIG_INVALID
 */
export function overrideConfig(
  config: RunConfig,
  values: Readonly<Record<string, unknown>>,
  sourceOf: (key: string) => string = () => "override",
): RunConfig {
  const json: Record<string, unknown> = { ...structuredClone(config) };
  for (const [key, value] of Object.entries(values)) assign(json, key, structuredClone(value), sourceOf(key));
  return checkConfig(json, (path) => {
    const at = `${path.join(".")}.`;
    const key = Object.keys(values).find((one) => at.startsWith(`${one}.`) || `${one}.`.startsWith(at));
    // What was fitting before does not fit what was overridden.
    return key === undefined ? [...new Set(Object.keys(values).map(sourceOf))].join(" ") : sourceOf(key);
  });
}

function invalid(message: string, cause?: unknown): PtuningError {
  return new PtuningError("CONFIG_INVALID", message, { cause });
}

/** Throws what `fail` gives for a key, at any depth, that has a meaning in JavaScript objects. */
export function refuseForbiddenKeys(value: unknown, fail: (key: string) => PtuningError): void {
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.getOwnPropertyNames(value)) {
    if (forbiddenKeys.has(key)) throw fail(key);
    refuseForbiddenKeys((value as Record<string, unknown>)[key], fail);
  }
}

function applyOverride(config: Record<string, unknown>, override: string): void {
  const at = override.indexOf("=");
  const path = override.slice(0, at).trim();
  if (at < 1) throw invalid(`--set ${override}: expected key.path=value.`);
  assign(config, path, parseValue(override.slice(at + 1)), `--set ${override}`);
}

/** Sets the value at a dotted path; objects on the way are made. */
function assign(config: Record<string, unknown>, dotted: string, value: unknown, where: string): void {
  const path = dotted.split(".");
  if (path.some((key) => key === "")) throw invalid(`${where}: expected key.path=value.`);
  const refuse = (key: string): PtuningError => invalid(`${where}: the key "${key}" is not allowed.`);
  const forbidden = path.find((key) => forbiddenKeys.has(key));
  if (forbidden !== undefined) throw refuse(forbidden);
  refuseForbiddenKeys(value, refuse);
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
  const parsed = yamlValue(text);
  return parsed === undefined ? text : parsed.value;
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
  const inner = issue.code === "invalid_union" ? deepest(issue) : undefined;
  if (inner !== undefined) return issueText(inner, json, lineOf);
  const got = valueAt(path, json);
  const description = shown(got);
  const expected =
    issue.code === "invalid_union"
      ? (kindsAt(path, json) ?? issue.message.replace("Invalid input", "another kind of value"))
      : issue.message
          .replace(/^Invalid (input|option): /, "")
          .replace(/^Too (small|big): /, "")
          .replace(/, received .*$/, "")
          .replace(/^expected /, "");
  return `${lineOf(path)}: ${path.join(".")}: expected ${expected}, got ${description}.`;
}

/** What is wrong inside a value that no branch of a union takes, in the branch that got furthest; nothing if none did. */
function deepest({ path, errors }: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue | undefined {
  const inside = errors.flat().filter((one) => one.path.length > 0);
  const [inner] = inside.toSorted((a, b) => b.path.length - a.path.length);
  return inner && { ...inner, path: [...path, ...inner.path] };
}

/** The keys that the schema knows at a path. */
function keysAt(path: readonly PropertyKey[], json: unknown): string[] {
  return Object.keys(shapeOf(schemaAt(path, json), valueAt(path, json)));
}

function valueAt(path: readonly PropertyKey[], json: unknown): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    json,
  );
}

/** The schema at a path of a configuration, before any kind is chosen there. */
function schemaAt(path: readonly PropertyKey[], json: unknown): unknown {
  return path.reduce<unknown>(
    (schema, key, i) =>
      definition(core(schema)).valueType ?? shapeOf(schema, valueAt(path.slice(0, i), json))[key],
    "tasks" in (json as object) ? multiTaskSchema : runSchema,
  );
}

/** The kinds among which the discriminator at a path chooses: `one of "a"|"b"`. */
function kindsAt(path: readonly PropertyKey[], json: unknown): string | undefined {
  const { discriminator, options = [] } = definition(core(schemaAt(path.slice(0, -1), json)));
  if (discriminator === undefined || discriminator !== path.at(-1)) return undefined;
  const kinds = options.map((option) => kindOf(option, discriminator)).filter((kind) => kind !== undefined);
  return `one of ${kinds.map((kind) => JSON.stringify(kind)).join("|")}`;
}

/** What to say of a key that belongs to another kind: "a key of p-tuning-v2, not of bitfit". */
function foreignKey(path: readonly PropertyKey[], key: string, json: unknown): string | undefined {
  const { discriminator, options = [] } = definition(core(schemaAt(path, json)));
  if (discriminator === undefined) return undefined;
  const owners = options
    .filter((option) => key in shapeOf(option))
    .map((owner) => kindOf(owner, discriminator))
    .filter((kind) => kind !== undefined);
  if (owners.length === 0) return undefined;
  const kind = (valueAt(path, json) as Record<string, unknown>)[discriminator];
  return `a key of ${owners.join(" and ")}, not of ${kind ?? kindOf(options[0], discriminator)}.`;
}

/** What zod keeps of a schema; the parts that tell how it is nested. */
interface Definition {
  readonly innerType?: unknown;
  /** Output of a preprocessing step. */
  readonly out?: unknown;
  readonly discriminator?: string;
  readonly options?: readonly unknown[];
  readonly values?: readonly unknown[];
  /** Of a map with any keys. */
  readonly valueType?: unknown;
}

function definition(schema: unknown): Definition {
  return (schema as { def?: Definition } | undefined)?.def ?? {};
}

/** The schema inside defaults, optionals and preprocessing. */
function core(schema: unknown): unknown {
  const { innerType, out } = definition(schema);
  const inner = innerType ?? out;
  return inner === undefined ? schema : core(inner);
}

/** The kind that an option of a choice stands for; undefined for the one without. */
function kindOf(option: unknown, discriminator: string): unknown {
  return definition(core(shapeOf(option)[discriminator])).values?.[0];
}

/**
 * The parts of an object's schema; of a choice between kinds those of the one that `value` names, else of the
 * first.
 */
export function shapeOf(schema: unknown, value?: unknown): Readonly<Record<PropertyKey, unknown>> {
  const inner = core(schema);
  const { discriminator, options = [] } = definition(inner);
  if (discriminator === undefined)
    return (inner as { shape?: Record<string, unknown> } | undefined)?.shape ?? {};
  const kind = (value as Record<string, unknown> | null | undefined)?.[discriminator];
  return shapeOf(options.find((option) => kindOf(option, discriminator) === kind) ?? options[0]);
}
