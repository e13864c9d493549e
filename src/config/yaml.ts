import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  LineCounter,
  type ParsedNode,
  parseDocument,
  visit,
} from "yaml";
import { messageOf, PtuningError } from "../core/index.ts";

/** The values of a YAML document, and where they stand. */
export interface YamlValues {
  readonly values: unknown;
  /** Whether the document holds something at a path. */
  has(path: readonly PropertyKey[]): boolean;
  /** `file:line` of a path, or of the deepest part of it that exists. */
  whereIs(path: readonly PropertyKey[]): string;
}

/** More repetitions are a trick: each alias may hold aliases. */
const mostAliases = 100;

/**
 * Parses one YAML (or JSON) document. What cannot be read as it is meant is refused: keys that occur twice, tags that
 * nobody knows, aliases of nothing or of themselves, and more aliases than a configuration has use for.
 * @throws CONFIG_INVALID with line and column
 */
export function readYaml(text: string, where: string): YamlValues {
  const lines = new LineCounter();
  const fail = (message: string, offset?: number, cause?: unknown): never => {
    const { line, col } = offset === undefined ? { line: 0, col: 0 } : lines.linePos(offset);
    const place = line > 0 ? `${where}:${line}:${col}` : where;
    throw new PtuningError("CONFIG_INVALID", `${place}: ${message.replace(/[.:]$/, "")}.`, {
      hint: "Texts that start with *, &, !, %, @ or ` stand in quotes in YAML.",
      cause,
    });
  };
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  } catch (cause) {
    return fail(reasonOf(cause), undefined, cause);
  }
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined)
    fail(problem.message.split("\n")[0]!.replace(/ at line \d+.*$/, ""), problem.pos[0], problem);
  let values: unknown;
  try {
    checkAliases(document, fail);
    values = document.toJS({ maxAliasCount: mostAliases });
  } catch (cause) {
    if (cause instanceof PtuningError) throw cause;
    return fail(reasonOf(cause), firstAlias(document), cause);
  }
  if (isDeep(values)) fail(tooDeep);
  return {
    values,
    has: (path) => document.hasIn(path),
    whereIs(path) {
      const node = nodeAt(document.contents, path);
      return node?.range ? `${where}:${lines.linePos(node.range[0]).line}` : where;
    },
  };
}

/** Nothing in a configuration is nested nearly as deep. */
const mostLevels = 100;
const tooDeep = `expected at most ${mostLevels} levels, got more`;

/** The library works through levels by recursion. */
function reasonOf(cause: unknown): string {
  return cause instanceof RangeError ? tooDeep : messageOf(cause);
}

function isDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > mostLevels) return true;
    level = level.flatMap((one) => (typeof one === "object" && one !== null ? Object.values(one) : []));
  }
  return false;
}

/** A value on a command line: YAML where it is YAML, else `undefined`. */
export function yamlValue(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: readYaml(text, "value").values };
  } catch {
    return undefined;
  }
}

function checkAliases(
  document: Document.Parsed,
  fail: (message: string, offset: number | undefined) => never,
): void {
  let count = 0;
  visit(document, {
    Alias(_, alias, path) {
      if (++count > mostAliases) fail(`expected at most ${mostAliases} aliases, got more`, alias.range?.[0]);
      const target = alias.resolve(document);
      const at = alias.range?.[0];
      if (target === undefined)
        fail(`*${alias.source}: expected an alias of something, got one of nothing`, at);
      if (path.some((node) => isCollection(node) && node.anchor === alias.source && node === target))
        fail(`*${alias.source}: expected an alias of something else, got one of what it stands in`, at);
    },
  });
}

function firstAlias(document: Document.Parsed): number | undefined {
  let found: number | undefined;
  visit(document, {
    Alias(_, alias) {
      found = isAlias(alias) ? alias.range?.[0] : undefined;
      return visit.BREAK;
    },
  });
  return found;
}

/** The node at a path, or the deepest one that exists on the way. */
function nodeAt(node: ParsedNode | null, path: readonly PropertyKey[]): ParsedNode | null {
  const [key, ...rest] = path;
  if (key === undefined || !isMap(node)) return node;
  const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
  if (pair === undefined) return node;
  return rest.length === 0 ? (pair.key as ParsedNode) : nodeAt(pair.value as ParsedNode | null, rest);
}
