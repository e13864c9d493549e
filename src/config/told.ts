import { stat } from "node:fs/promises";
import { isByColumn, isJsonLines, outlineOf, startOf } from "../data/index.ts";
import { shapeOf } from "./parse.ts";
import { multiTaskSchema, runSchema } from "./schema.ts";

/** Keys at the top of a configuration. */
const configKeys: ReadonlySet<string> = new Set([
  ...Object.keys(shapeOf(runSchema)),
  ...Object.keys(shapeOf(multiTaskSchema)),
]);

/**
 * Whether a file is a configuration: told from how it starts, as data may have any name. Where that tells nothing, and
 * where there is no such file, `.yaml`, `.yml` and `.json` are those of configurations.
 */
export async function isConfigFile(path: string): Promise<boolean> {
  const byName = /\.(?:ya?ml|json)$/i.test(path);
  const status = await stat(path).catch(() => undefined);
  if (status === undefined) return byName;
  if (!status.isFile() || status.size === 0 || /\.gz$/i.test(path)) return false;
  const start = (await startOf(path)).replace(/^\ufeff/, "");
  if (/^\s*\[/.test(start)) return false;
  return /^\s*\{/.test(start) ? isConfigObject(path, start, byName) : hasConfigLines(start, byName);
}

function isConfigObject(path: string, start: string, byName: boolean): boolean {
  const outline = outlineOf(start);
  // YAML, perhaps, whose keys need no quotes.
  if (outline === undefined) return byName;
  // Data have lists under such keys, configurations none.
  if (outline.keys.some(({ key, opens }) => configKeys.has(key) && opens !== "[")) {
    return !start.slice(outline.end).trimStart().startsWith("{");
  }
  const hasLists = outline.keys.some(({ opens }) => opens === "[");
  return byName && !hasLists && !isByColumn(start) && !isJsonLines({ name: path.toLowerCase(), start });
}

/** YAML in its usual form: each line that is not indented is a key, a comment, an item or a mark. */
function hasConfigLines(start: string, byName: boolean): boolean {
  const lines = start.split(/\r?\n/);
  // The last line may be cut off.
  const whole = lines.length > 1 ? lines.slice(0, -1) : lines;
  const outer = whole.filter((line) => /^[^\s#]/.test(line) && !/^(?:---|\.\.\.|- |%|[}\]])/.test(line));
  const keys = outer.map((line) => /^["']?([A-Za-z_][\w-]*)["']?\s*:(?:\s|$)/.exec(line)?.[1]);
  const known = keys.filter((key) => key !== undefined && configKeys.has(key));
  if (byName)
    return keys.length === 0
      ? whole.every((line) => !/^- /.test(line))
      : keys[0] !== undefined || known.length > 0;
  return known.length > 0 && keys.every((key) => key !== undefined);
}
