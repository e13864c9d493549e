import { stringify } from "yaml";
import type { RunConfig } from "./config.ts";
import { unwrap } from "./parse.ts";
import { redact } from "./redact.ts";
import { runSchema } from "./schema.ts";

/** A configuration as YAML, without secrets. */
export function formatConfig(config: RunConfig): string {
  return stringify(redact(config));
}

/**
 * A YAML file for people: the given values, and every other key as a comment with what it means.
 */
export function commentedConfig(config: Partial<Record<keyof RunConfig, unknown>>): string {
  const lines = [
    "# A ptuning run. Every key can also be set on the command line: --set method.promptLength=32",
    "",
  ];
  for (const [key, schema] of Object.entries(shapeOf(runSchema))) {
    const inner = shapeOf(schema);
    const given = config[key as keyof RunConfig];
    if (Object.keys(inner).length === 0) {
      lines.push(...keyLines(key, schema, given, ""), "");
      continue;
    }
    const values = (given ?? {}) as Readonly<Record<string, unknown>>;
    const isCommented = Object.keys(values).length === 0;
    lines.push(isCommented ? `# ${key}:` : `${key}:`);
    for (const [name, part] of Object.entries(inner)) lines.push(...keyLines(name, part, values[name], "  "));
    lines.push("");
  }
  return lines.join("\n");
}

function keyLines(key: string, schema: unknown, value: unknown, indent: string): string[] {
  const description = descriptionOf(schema);
  const comment = description ? ` # ${description}` : "";
  if (value === undefined) return [`# ${indent}${key}:${comment && ` ${comment.trim()}`}`];
  return [
    `${indent}${stringify({ [key]: redact(value) }, { collectionStyle: "flow", lineWidth: 0 }).trimEnd()}${comment}`,
  ];
}

function shapeOf(schema: unknown): Readonly<Record<string, unknown>> {
  return (unwrap(schema) as { shape?: Record<string, unknown> }).shape ?? {};
}

function descriptionOf(schema: unknown): string | undefined {
  const own = (schema as { description?: string }).description;
  const inner = (schema as { def?: { innerType?: unknown } }).def?.innerType;
  return own ?? (inner === undefined ? undefined : descriptionOf(inner));
}
