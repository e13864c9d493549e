import { PtuningError, shown, shownNames } from "../core/index.ts";
import type { ColumnFacts } from "./column-facts.ts";
import {
  answerNames,
  asideNames,
  choiceNames,
  isNamedPair,
  labelNames,
  lastNames,
  neverNames,
  plainLabelNames,
  pluralNames,
  scoreNames,
  textNames,
} from "./column-names.ts";
import type { ExampleKind } from "./example.ts";
import type { Column, ColumnOptions, ReadOptions } from "./options.ts";

/** What an example's gold answer is, where it is known: as the options that choose its column. */
export type Gold = "label" | "labels" | "score";

/** A table whose rows all went by. */
export interface SurveyedTable {
  readonly path: string;
  readonly columns: readonly ColumnFacts[];
  readonly header: boolean;
  readonly rows: number;
}

/** The columns that a table's examples seem to be made of. */
export interface ColumnGuess {
  readonly columns: ColumnOptions;
  readonly labels: readonly string[];
  /** Columns that could be taken as well. */
  readonly others: readonly string[];
}

/**
 * Chooses columns by their names and values. A label column has few different values that repeat; texts are long and
 * differ. Columns of parts, ids, sources and times rank behind all others.
 * @throws DATA_INVALID if no column looks like a text, or several like what is learnt
 */
export function guessColumns(
  { path, columns: all, header, rows }: SurveyedTable,
  kind: ExampleKind,
  given: ReadOptions,
  gold?: Gold,
): ColumnGuess {
  // Words and answers are found by the usual names of their columns.
  if (kind === "tokens" || kind === "roles" || kind === "answers")
    return { columns: {}, labels: [], others: [] };
  // Without a header columns are numbers.
  const column = ({ name }: ColumnFacts): Column => (header || !/^\d+$/.test(name) ? name : Number(name));
  const chosenBefore = new Set(givenColumns(given).map(String));
  const columns = all.filter(({ name, filled }) => filled > 0 || !/^Unnamed: \d+$/.test(name));
  const open = columns.filter(({ name }) => !chosenBefore.has(name));
  const choices = kind === "choices" ? choiceColumns(open) : [];
  const rest = open.filter((one) => !choices.includes(one));
  const found =
    kind === "choices" ? { label: choiceLabel(rest) } : goldColumns(path, rest, header, rows, given, gold);
  const golden = new Set<ColumnFacts>(Object.values(found).flatMap((one) => one ?? []));
  const texts = textColumns(rest.filter((one) => !golden.has(one)));
  if (texts.length === 0 && given.text === undefined) {
    throw new PtuningError(
      "DATA_INVALID",
      `${path}: expected a column of texts, got ${shownNames(columns.map(({ name }) => name))}.`,
      { hint: "Say which columns to use: --text and --label." },
    );
  }
  const chosen = kind === "text" ? pairOf(texts, all) : texts.slice(0, 1);
  const { label, labels, score } = found as GoldColumns;
  return {
    columns: {
      text: given.text ?? (oneOrList(chosen.map(column)) as NonNullable<ColumnOptions["text"]>),
      ...(choices.length > 0 && { choices: oneOrList(choices.map(column)) }),
      ...(label && { label: column(label) }),
      ...(labels && { labels: oneOrList(labels.map(column)) }),
      ...(score && { score: column(score) }),
    },
    labels: labelsOf(label, labels),
    others: rest
      .filter((one) => !golden.has(one) && !chosen.includes(one) && isCandidate(one) && one.isRepeating)
      .map(({ name }) => name),
  };
}

interface GoldColumns {
  readonly label?: ColumnFacts | undefined;
  readonly labels?: readonly ColumnFacts[] | undefined;
  readonly score?: ColumnFacts | undefined;
}

function givenColumns(given: ReadOptions): Column[] {
  const { text, label, labels, score, group, choices, id } = given;
  return [text, label, labels, score, group, choices, id].flatMap((one) => (one ?? []) as Column | Column[]);
}

const oneOrList = <T>(columns: readonly T[]): T | readonly T[] =>
  columns.length === 1 ? columns[0]! : columns;

function labelsOf(label: ColumnFacts | undefined, labels: readonly ColumnFacts[] | undefined): string[] {
  if (label !== undefined) return label.labels;
  return labels !== undefined && labels.length > 1 ? labels.map(({ name }) => name) : [];
}

const isCandidate = ({ name }: ColumnFacts): boolean => labelNames.test(name) || !neverNames.test(name);

/** Columns of parts, sources and times behind the others. */
const rank = ({ name }: ColumnFacts): number => {
  if (labelNames.test(name) || textNames.test(name)) return 0;
  return neverNames.test(name) ? 2 : Number(lastNames.test(name));
};

/** The columns of alternatives: named so, or by letters. */
function choiceColumns(columns: readonly ColumnFacts[]): readonly ColumnFacts[] {
  const named = columns.filter(({ name }) => choiceNames.test(name));
  return named.length > 0 ? named : letterColumns(columns);
}

/** Columns A, B and so on. */
export function letterColumns<C extends { readonly name: string }>(columns: readonly C[]): readonly C[] {
  const letters: C[] = [];
  for (const letter of "ABCDEFGH") {
    const one = columns.find(({ name }) => name === letter || name === letter.toLowerCase());
    if (one === undefined) break;
    letters.push(one);
  }
  return letters.length > 1 ? letters : [];
}

function choiceLabel(columns: readonly ColumnFacts[]): ColumnFacts | undefined {
  const named = columns.filter(({ name }) => answerNames.test(name) || labelNames.test(name));
  return byLikeliness(named)[0] ?? byLikeliness(columns.filter(isLabel))[0];
}

/** Few different values that repeat. */
function isLabel(one: ColumnFacts): boolean {
  return isCandidate(one) && one.isRepeating && (one.meanLength < 40 || labelNames.test(one.name));
}

function byLikeliness(columns: readonly ColumnFacts[]): ColumnFacts[] {
  const plain = (one: ColumnFacts): number => Number(!plainLabelNames.test(one.name));
  const constant = (one: ColumnFacts): number => Number(one.distinct < 2);
  return columns.toSorted(
    (a, b) =>
      rank(a) - rank(b) ||
      plain(a) - plain(b) ||
      constant(a) - constant(b) ||
      a.distinct - b.distinct ||
      a.meanLength - b.meanLength,
  );
}

/** What is learnt of a text: a label, several, a number. */
function goldColumns(
  path: string,
  columns: readonly ColumnFacts[],
  header: boolean,
  rows: number,
  given: ReadOptions,
  gold: Gold | undefined,
): GoldColumns {
  if (
    ["label", "labels", "score", "labelPattern"].some((key) => given[key as keyof ReadOptions] !== undefined)
  ) {
    return {};
  }
  if (gold === "score") return { score: wantedScore(path, columns, rows) };
  const lists = columns.filter((one) => isCandidate(one) && (one.isList || isJoined(one)));
  const list = lists.find(({ name }) => labelNames.test(name)) ?? lists[0];
  if (list !== undefined && gold !== "label") return { labels: [list] };
  const scores = columns.filter((one) => isScore(one) && !labelNames.test(one.name));
  const score = scores.find(({ name }) => scoreNames.test(name)) ?? scores[0];
  const single = columns.filter((one) => !lists.includes(one) && !scores.includes(one));
  const named = single.filter(({ name, filled }) => labelNames.test(name) && filled > 0);
  const label = byLikeliness(named)[0];
  if (label !== undefined && gold !== "labels") return { label, score };
  const others = single.filter((one) => isLabel(one) && rank(one) === 0);
  const isNamedScore = score !== undefined && scoreNames.test(score.name);
  const marks = others.filter((one) => one.isMarks);
  if (marks.length > 1 && gold !== "label") {
    if (header && marks.length === others.length && !isNamedScore) {
      // Also labels that no row has.
      return { labels: single.filter((one) => one.isMarks && isCandidate(one) && rank(one) === 0) };
    }
    throw new PtuningError(
      "DATA_INVALID",
      `${path}: expected to know what is learnt, got several columns that look like it: ` +
        `${shownNames([...others, ...(isNamedScore ? [score] : [])].map(({ name }) => name))}.`,
      {
        hint: "Say which: --label for one, or --set 'data.labels=[…]' for columns of 0 and 1, one for each label.",
      },
    );
  }
  if (gold === "labels") return { labels: label ? [label] : byLikeliness(others).slice(0, 1) };
  // A number that is no score by its name gives way to words that repeat.
  const hasWords = header && others.some((one) => !one.isNumeric);
  if (score !== undefined && gold !== "label" && (isNamedScore || !hasWords)) {
    return { score };
  }
  const unnamed = others.length > 0 ? others : single.filter(isLabel);
  return { label: byLikeliness(unnamed)[0] };
}

/** Numbers that are no codes of classes. */
function isScore(one: ColumnFacts): boolean {
  if (!one.isNumeric || one.filled === 0 || rank(one) > 0) return false;
  return scoreNames.test(one.name) ? one.distinct !== 2 : one.distinct > 5 && one.hasFraction;
}

/** Labels with a separator between them: their parts occur alone or in other cells, too. */
function isJoined({ name, values }: ColumnFacts): boolean {
  if (!pluralNames.test(name)) return false;
  return [",", ";", "|"].some((separator) => {
    const joined = [...values.keys()].filter((value) => value.includes(separator));
    const parts = joined.flatMap((value) => value.split(separator).map((part) => part.trim()));
    const counts = new Map<string, number>();
    for (const part of parts) counts.set(part, (counts.get(part) ?? 0) + 1);
    return joined.length > 0 && parts.every((part) => values.has(part) || counts.get(part)! > 1);
  });
}

/** @throws DATA_INVALID that says of each column which cell is no number */
function wantedScore(path: string, columns: readonly ColumnFacts[], rows: number): ColumnFacts {
  const numeric = columns.filter((one) => one.isNumeric && one.filled > 0 && !neverNames.test(one.name));
  const best = numeric.toSorted((a, b) => {
    const unnamed = ({ name }: ColumnFacts): number =>
      scoreNames.test(name) ? 0 : labelNames.test(name) ? 1 : 2;
    return rank(a) - rank(b) || unnamed(a) - unnamed(b) || b.distinct - a.distinct;
  })[0];
  if (best !== undefined) return best;
  const numbers = (one: ColumnFacts): number =>
    [...one.values].reduce((sum, [value, count]) => sum + (Number.isFinite(Number(value)) ? count : 0), 0);
  const found = columns
    .filter(({ name }) => !neverNames.test(name))
    .toSorted(
      (a, b) => Number(scoreNames.test(b.name)) - Number(scoreNames.test(a.name)) || numbers(b) - numbers(a),
    )
    .slice(0, 4)
    .map(
      ({ name, text }) =>
        `"${name.slice(0, 40)}" has ${shown(text?.value ?? "", 30)}${text ? ` in line ${text.line}` : ""}`,
    );
  throw new PtuningError(
    "DATA_INVALID",
    `${path}: expected a column of numbers to learn, got none in ${rows} rows: ${found.join(", ")}.`,
    { hint: "Correct these cells, or say which column has the numbers: --set data.score=NAME." },
  );
}

/** Columns of texts, likeliest first. */
function textColumns(columns: readonly ColumnFacts[]): ColumnFacts[] {
  return columns
    .filter((one) => !one.isNumeric && one.isVaried && !one.isList)
    .toSorted(
      (a, b) =>
        rank(a) - rank(b) ||
        Number(textNames.test(b.name)) - Number(textNames.test(a.name)) ||
        b.meanLength - a.meanLength,
    );
}

/** One column of texts or two that are read together, in the order of the file. */
function pairOf(texts: readonly ColumnFacts[], all: readonly ColumnFacts[]): readonly ColumnFacts[] {
  const inOrder = (...two: ColumnFacts[]): ColumnFacts[] => all.filter((one) => two.includes(one));
  const usual = texts.filter(({ name }) => textNames.test(name));
  if (usual.length > 1) return inOrder(usual[0]!, usual[1]!);
  for (const first of texts) {
    const second = texts.find((one) => one !== first && isNamedPair(first.name, one.name));
    if (second !== undefined) return [first, second];
  }
  // Two of which neither name says that it is the text.
  const plain = texts.filter((one) => rank(one) === 0 && !asideNames.test(one.name) && one.meanLength > 10);
  return usual.length === 0 && plain.length === 2 ? inOrder(plain[0]!, plain[1]!) : texts.slice(0, 1);
}
