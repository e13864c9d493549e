import type { ColumnFacts } from "./column-facts.ts";
import {
  choiceNames,
  labelNames,
  lastNames,
  neverNames,
  scoreNames,
  textNames,
  wordNames,
} from "./column-names.ts";

const known = [labelNames, textNames, scoreNames, wordNames, choiceNames, neverNames, lastNames];

/**
 * Whether the first row of a table names its columns: its cells are unlike all below, or well-known names; a sentence, a
 * number above numbers or a value that occurs again speak against it.
 * @param columns the rows below
 */
export function looksLikeHeader(first: readonly string[], columns: readonly ColumnFacts[]): boolean {
  const names = first.map((name) => name.trim());
  const named = names.filter((name) => name !== "");
  if (named.length === 0 || new Set(named).size < named.length) return false;
  return names.reduce((sum, name, i) => sum + evidence(name, columns[i]!), 0) > 0;
}

/** Above 0: for a name. */
function evidence(cell: string, below: ColumnFacts): number {
  if (cell === "") return 0;
  const occurs = below.values.get(cell) ?? 0;
  const repeats = below.filled > 0 && below.distinct <= Math.max(2, below.count / 3);
  // A value that is there again; in a column of texts that may be chance.
  if (occurs > 0) return repeats ? -2 : -1;
  if (cell.length > 60 || wordsIn(cell) > 6) return -4;
  const isNumber = Number.isFinite(Number(cell));
  if (below.filled > 0 && below.isNumeric) return isNumber ? -3 : 3;
  if (known.some((pattern) => pattern.test(cell))) return 3;
  const isNameLike = isNumber || /^[\p{L}_#][\p{L}\p{N}_ .#/()-]*$/u.test(cell);
  if (!isNameLike) return -1;
  const like = likeIn(cell, below);
  if (below.filled > 1 && like === 0) return 3;
  if (below.filled > 1 && like < 0.02) return 1.5;
  if (wordsIn(cell) > 2 && like > 0.3) return -2;
  return !isNumber && repeats ? 1 : 0;
}

const wordsIn = (text: string): number => text.trim().split(/\s+/).length;

/** Share of the cells below that could be of the same sort: as few words, as short, the same script. */
function likeIn(cell: string, below: ColumnFacts): number {
  let like = 0;
  let all = 0;
  const isAscii = /^[\x20-\x7e]+$/.test(cell);
  for (const [value, count] of below.values) {
    if (value.trim() === "") continue;
    all += count;
    const longer = value.length > Math.max(isAscii ? 24 : 0, 3 * cell.length);
    const other = isAscii && value.replace(/[\x20-\x7e]/g, "").length > value.length / 2;
    const isSame = Number.isFinite(Number(cell)) === Number.isFinite(Number(value));
    if (wordsIn(value) <= Math.max(2, wordsIn(cell)) && !longer && !other && isSame) like += count;
  }
  // Values that are too long to be kept are longer.
  return all === 0 ? 0 : like / below.filled;
}
