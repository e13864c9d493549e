import { stringify } from "yaml";
import type { AnyRunConfig, RunConfig } from "./config.ts";
import { shapeOf } from "./parse.ts";
import { runSchema } from "./schema.ts";

/** A configuration as YAML, to be read back: exactly what was given. */
export function formatConfig(config: AnyRunConfig): string {
  return stringify(config);
}

/**
 * A YAML file for people: the given values, and every other key as a comment with its default and what it means.
 */
export function commentedConfig(config: Sections, defaults: Sections = {}): string {
  const lines = [
    "# A ptuning run. Every key can also be set on the command line: --set method.promptLength=32",
    "# Keys that are commented out show their defaults.",
    "",
  ];
  for (const [key, schema] of Object.entries(shapeOf(runSchema, config))) {
    const given = config[key as keyof RunConfig];
    const inner = shapeOf(schema, given);
    if (Object.keys(inner).length === 0) {
      lines.push(keyLine(key, schema, given, defaults[key as keyof RunConfig], ""), "");
      continue;
    }
    const values = (given ?? {}) as Readonly<Record<string, unknown>>;
    const known = (defaults[key as keyof RunConfig] ?? {}) as Readonly<Record<string, unknown>>;
    lines.push(Object.keys(values).length === 0 ? `# ${key}:` : `${key}:`);
    for (const [name, part] of Object.entries(inner))
      lines.push(keyLine(name, part, values[name], known[name], "  "));
    lines.push("");
  }
  return lines.join("\n");
}

type Sections = Partial<Record<keyof RunConfig, unknown>>;

function keyLine(
  key: string,
  schema: unknown,
  value: unknown,
  defaultValue: unknown,
  indent: string,
): string {
  const description = descriptionOf(schema);
  const shown = value ?? defaultValue;
  const text =
    shown === undefined ? "" : ` ${stringify(shown, { collectionStyle: "flow", lineWidth: 0 }).trimEnd()}`;
  const line = `${indent}${key}:${text}`;
  const comment = description ? `  # ${description}` : "";
  return value === undefined ? `# ${line}${comment}` : `${line}${comment}`;
}

function descriptionOf(schema: unknown): string | undefined {
  const own = (schema as { description?: string }).description;
  const inner = (schema as { def?: { innerType?: unknown } }).def?.innerType;
  return own ?? (inner === undefined ? undefined : descriptionOf(inner));
}
