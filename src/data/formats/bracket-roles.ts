import type { RoleExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { type Sentence, sentencesOf } from "../sentences.ts";

/** Where a corpus keeps its columns, numbers from 1. */
interface RoleLayout {
  /** The words. */
  readonly token: number;
  /** The column that marks predicates; the columns of roles follow it, or `first`. */
  readonly predicate: number;
  readonly first: number;
  /** Columns behind those of the roles. */
  readonly trailing: number;
}

function bracketRoles(title: string, layout: RoleLayout, fits: Format["fits"]): Format {
  async function* read(input: FormatInput): AsyncGenerator<RoleExample> {
    const token = input.options.tokenColumn ?? layout.token;
    for await (const sentence of sentencesOf(input)) {
      try {
        yield* examplesOf(sentence, { ...layout, token }, input);
      } catch (error) {
        input.reject(error);
      }
    }
  }
  return { title, readers: { roles: read }, fits };
}

const isEmpty = (cell: string): boolean => cell === "-" || cell === "_";

function* examplesOf(
  { rows, line }: Sentence,
  layout: RoleLayout,
  input: FormatInput,
): Generator<RoleExample> {
  const width = rows[0]!.length;
  const columns = width - layout.first + 1 - layout.trailing;
  if (columns < 0) {
    throw dataError(
      input.path,
      line,
      `expected at least ${layout.first - 1 + layout.trailing} columns, got ${width}`,
    );
  }
  const words = rows.map((cells) => cells[layout.token - 1]!);
  const predicates = rows.flatMap((cells, i) => (isEmpty(cells[layout.predicate - 1]!) ? [] : [i]));
  if (predicates.length !== columns) {
    const what = `expected a column of roles for each of ${predicates.length} predicates, got ${columns}`;
    throw dataError(input.path, line, what);
  }
  for (const [k, predicate] of predicates.entries()) {
    const cells = rows.map((row) => row[layout.first - 1 + k]!);
    const tags = tagsOf(cells, line, input.path);
    if (!tags[predicate]!.endsWith("-V")) {
      const what = `column ${layout.first + k}: expected (V*) at the predicate "${words[predicate]}", got ${cells[predicate]}`;
      throw dataError(input.path, line + predicate, what);
    }
    yield {
      words,
      predicate,
      sense: rows[predicate]![layout.predicate - 1]!,
      tags,
      group: `line ${line}`,
      line,
    };
  }
}

/** IOB2 tags of a column of brackets: `(ARG0*`, `*`, `*)`. */
function tagsOf(cells: readonly string[], line: number, path: string): string[] {
  let open: string | undefined;
  const tags = cells.map((cell, i) => {
    const match = /^(?:\(([^()*]+))?\*([^()*]*\))?$/.exec(cell);
    const [, start, end] = match ?? [];
    if (
      match === null ||
      (start !== undefined && open !== undefined) ||
      (end !== undefined && (start ?? open) === undefined)
    ) {
      throw dataError(
        path,
        line + i,
        `expected a bracket such as (ARG0*, * or *) that fits, got "${cell.slice(0, 40)}"`,
      );
    }
    const label = start ?? open;
    open = end === undefined ? label : undefined;
    return label === undefined ? "O" : `${start === undefined ? "I" : "B"}-${label}`;
  });
  if (open === undefined) return tags;
  throw dataError(path, line, `expected the bracket of ${open} to be closed in its sentence`);
}

/** Cells of the first row of a file. */
function firstCells(start: string): string[] {
  const row = start.split("\n").find((text) => text.trim() !== "" && !text.startsWith("#"));
  return row?.trim().split(/\s+/) ?? [];
}

const isParse = (cell: string | undefined): boolean => cell !== undefined && /^[^*]*\*\)*$/.test(cell);

/** PropBank's `.gold_conll` with words: eight columns, then one of brackets per predicate. */
export const goldConll: Format = bracketRoles(
  "PropBank .gold_conll",
  { token: 4, predicate: 8, first: 9, trailing: 0 },
  ({ name, start }) => {
    const cells = firstCells(start);
    return /gold_conll$/.test(name) && isParse(cells[5]) && cells.slice(8).every(isParse);
  },
);

/** CoNLL-2012: eleven columns, one of brackets per predicate, and the coreference column. */
export const conll2012: Format = bracketRoles(
  "CoNLL-2012",
  { token: 4, predicate: 8, first: 12, trailing: 1 },
  ({ start }) => {
    const cells = firstCells(start);
    return (
      start.startsWith("#begin document") && cells.length >= 12 && isParse(cells[5]) && isParse(cells[10])
    );
  },
);

/** CoNLL-2005 with words in front: word, part of speech, parse, entity, sense, lemma of the predicate, then brackets. */
export const conll2005: Format = bracketRoles(
  "CoNLL-2005",
  { token: 1, predicate: 6, first: 7, trailing: 0 },
  ({ start }) => {
    const cells = firstCells(start);
    return cells.length >= 6 && isParse(cells[2]) && isParse(cells[3]) && cells.slice(6).every(isParse);
  },
);
