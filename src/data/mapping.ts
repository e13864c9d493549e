import { shown } from "../core/index.ts";
import { answersFrom, placedAnswers, type UnplacedAnswers } from "./answers.ts";
import { ChoiceLabels, choiceOf, choiceTitle } from "./choice-labels.ts";
import type { ChoiceExample, ExampleKind, RoleExample, TextExample, TokenExample } from "./example.ts";
import { Fields } from "./fields.ts";
import { dataError, type Format, type FormatInput, type Row } from "./format.ts";
import { type FoundGroups, LabelPattern } from "./label-pattern.ts";
import { LabelSpellings } from "./label-spellings.ts";
import { ListColumn, type ListForm } from "./list-cells.ts";
import { labelsReader } from "./multi-labels.ts";
import type { Column, ColumnOptions } from "./options.ts";
import { cutText } from "./spans.ts";
import { defaultCut } from "./word-cut.ts";

/** Readers of every kind of example from the records of a table, by a column mapping. */
export function tableReaders(rows: (input: FormatInput) => AsyncIterable<Row>): Format["readers"] {
  const reader = <E>(map: Mapping<E>): ((input: FormatInput) => AsyncIterable<E>) =>
    async function* examples(input) {
      const read = await map(input, async function* survey() {
        for await (const row of rows(input.ahead())) yield new Fields(input.path, row);
      });
      const all = rows(input);
      for await (const row of read.prepare === undefined ? all : prepared(all, read.prepare)) {
        input.begin(row.line, row.fields);
        try {
          const example = read(new Fields(input.path, row));
          if (example !== undefined) yield example;
        } catch (error) {
          input.reject(error);
        }
      }
    };
  return {
    text: reader(texts),
    choices: reader(choices),
    tokens: reader(tokens),
    roles: reader(roles),
    answers: (input) => placedAnswers(input, reader(answers)),
  };
}

/** Whether columns are chosen by the user: then the file is read as a table. */
export function choosesColumns(options: ColumnOptions): boolean {
  return [options.text, options.tokens, options.choices, options.question].some(
    (column) => column !== undefined,
  );
}

/** The kind of example that the chosen columns speak of. */
export function kindOfColumns(options: ColumnOptions): ExampleKind {
  if (options.choices !== undefined) return "choices";
  if (options.predicate !== undefined) return "roles";
  if (options.tokens !== undefined) return "tokens";
  return options.question === undefined ? "text" : "answers";
}

interface ReadRow<E> {
  (fields: Fields): E | undefined;
  /** Is shown the next rows before they are read, where something is done for many at once. */
  readonly prepare?: (rows: readonly Row[]) => void;
}

/** Rows that are prepared at once. */
const preparedRows = 512;

async function* prepared(
  rows: AsyncIterable<Row>,
  prepare: (rows: readonly Row[]) => void,
): AsyncGenerator<Row> {
  let waiting: Row[] = [];
  for await (const row of rows) {
    if (waiting.push(row) < preparedRows) continue;
    prepare(waiting);
    yield* waiting;
    waiting = [];
  }
  prepare(waiting);
  yield* waiting;
}

/** @param survey all rows, for what is decided for the whole file before the first example */
type Mapping<E> = (
  input: FormatInput,
  survey: () => AsyncIterable<Fields>,
) => ReadRow<E> | Promise<ReadRow<E>>;

const texts: Mapping<TextExample> = async (input, survey) => {
  const { notice, path } = input;
  let { options } = input;
  if (options.text === undefined && options.label === undefined) options = { ...options, text: "text" };
  const columns = [options.text ?? "text"].flat() as Column[];
  const pattern = options.labelPattern === undefined ? undefined : new LabelPattern(options.labelPattern);
  /** By line. */
  let found = new Map<number, FoundGroups>();
  const labelsOf =
    options.labels === undefined ? undefined : await labelsReader(input, options.labels, survey);
  const spellings = new LabelSpellings(path, options.label ?? columns[0]!);
  const read: ReadRow<TextExample> = (fields): TextExample | undefined => {
    let text = fields.text(columns[0]!);
    let label = options.label === undefined ? undefined : fields.text(options.label).trim();
    let labels: readonly string[] | undefined;
    if (pattern !== undefined) {
      const subject = label ?? text;
      const groups = found.get(fields.line);
      if (groups === undefined || (groups.label ?? groups.labels) === undefined) {
        throw dataError(path, fields.line, `expected a text that matches ${pattern}, got ${shown(subject)}`);
      }
      label = groups.label;
      if (label === undefined) {
        const parts = groups.labels!.split(options.labelSeparator ?? /\s+/);
        labels = [...new Set(parts.map((part) => part.trim()).filter((part) => part !== ""))];
      }
      text = groups.text ?? text;
    } else if (label !== undefined && spellings.add(fields.line, label, fields.raw(options.label!))) {
      notice("labels that are numbers or truth values were read as the texts of the same spelling");
    }
    const pair = columns[1] === undefined ? undefined : fields.text(columns[1]);
    if (text.trim() === "" && (pair ?? "").trim() === "") {
      return notice("rows with an empty text were left out", "an empty text");
    }
    if (label === "") return notice("rows with an empty label were left out");
    const score = options.score === undefined ? undefined : fields.number(options.score);
    labels ??= labelsOf?.(fields);
    // Most examples are this; millions of them take less memory where nothing is spread.
    const isPlain = pair === undefined && labels === undefined && score === undefined;
    if (isPlain && label !== undefined && options.group === undefined)
      return { text, label, line: fields.line };
    return {
      text,
      ...(pair !== undefined && { pair }),
      ...(label !== undefined && { label }),
      ...(labels !== undefined && { labels }),
      ...(score !== undefined && { score }),
      ...(options.group !== undefined && { group: fields.text(options.group) }),
      line: fields.line,
    };
  };
  if (pattern === undefined) return read;
  const prepare = (rows: readonly Row[]): void => {
    // What a row lacks is said where it is read.
    const groups = pattern.find(
      rows.map((row) => {
        const value = new Fields(path, row).raw(options.label ?? columns[0]!) ?? "";
        const subject = typeof value === "object" ? "" : String(value);
        return options.label === undefined ? subject : subject.trim();
      }),
    );
    found = new Map(rows.map(({ line }, i) => [line, groups[i]]));
  };
  return Object.assign(read, { prepare });
};

const choices: Mapping<ChoiceExample> = async (input, survey) => {
  const { options, path } = input;
  const column = options.choices ?? "choices";
  const columns = [column].flat() as Column[];
  const names = columns.map(String);
  const list = Array.isArray(column) ? undefined : new ListColumn(path, columns[0]!, false);
  let form: ListForm = options.listCells ?? "joined";
  const alternativesOf = (fields: Fields): string[] =>
    list === undefined ? columns.map((one) => fields.text(one)) : fields.list(columns[0]!, /\r?\n/, form);
  if (list !== undefined && options.listCells === undefined) {
    for await (const fields of survey()) {
      list.add(fields.line, fields.raw(columns[0]!));
      if (list.isTyped) break;
    }
    form = list.decide(input.options.damaged === "skip");
  }
  let reading = options.choiceLabels ?? "from-0";
  const { label: labelColumn } = options;
  if (labelColumn !== undefined && options.choiceLabels === undefined) {
    const labels = new ChoiceLabels(path, labelColumn, names);
    for await (const fields of survey()) {
      try {
        labels.add(fields.line, fields.text(labelColumn).trim(), alternativesOf(fields));
      } catch (error) {
        input.reject(error);
      }
    }
    reading = labels.decide(options.damaged === "skip");
    input.settle({ choiceLabels: reading });
  }
  const [text] = [options.text ?? "text"].flat() as Column[];
  return (fields): ChoiceExample => {
    const alternatives = alternativesOf(fields);
    if (alternatives.length < 2) {
      throw dataError(path, fields.line, `expected at least two choices, got ${alternatives.length}`);
    }
    const gold = labelColumn === undefined ? undefined : fields.text(labelColumn).trim();
    const label = gold === undefined ? undefined : choiceOf(reading, gold, alternatives, names);
    if (gold !== undefined && label === undefined) {
      return fields.fail(labelColumn!, choiceTitle(reading, alternatives.length), gold);
    }
    return {
      text: fields.text(text!),
      choices: alternatives,
      ...(label !== undefined && { label }),
      line: fields.line,
    };
  };
};

/** How the cells of words and tags are written, decided for the whole file. */
async function wordForm(
  input: FormatInput,
  survey: () => AsyncIterable<Fields>,
  columnsOf: (fields: Fields) => readonly (Column | undefined)[],
): Promise<ListForm> {
  if (input.options.listCells !== undefined) return input.options.listCells;
  const seen = new Map<Column, ListColumn>();
  for await (const fields of survey()) {
    for (const column of columnsOf(fields)) {
      if (column === undefined) continue;
      const list = seen.get(column) ?? new ListColumn(input.path, column, true);
      seen.set(column, list);
      list.add(fields.line, fields.raw(column));
    }
    if ([...seen.values()].every((list) => list.isTyped)) return "lists";
  }
  const forms = [...seen.values()]
    .filter((list) => !list.isTyped)
    .map((list) => list.decide(input.options.damaged === "skip"));
  // Columns of words never hold lists beside columns of joined ones.
  return forms.length > 0 && forms.every((one) => one === "lists") ? "lists" : "joined";
}

const wordColumn = (fields: Fields, { tokens }: ColumnOptions): Column =>
  tokens ?? fields.first("tokens", "words") ?? "tokens";

const tagColumn = (fields: Fields, { tags }: ColumnOptions): Column | undefined =>
  tags ?? fields.first("tags", "ner_tags", "labels", "pos_tags");

/** The column of a text where there is none of words: data that are only to be predicted. */
const textColumn = (fields: Fields, { tokens, text }: ColumnOptions): Column | undefined =>
  fields.first(tokens, "tokens", "words") === undefined
    ? fields.first(...([text].flat() as Column[]), "text", "sentence")
    : undefined;

const tokens: Mapping<TokenExample> = async (input, survey) => {
  const { options, notice } = input;
  const form = await wordForm(input, survey, (fields) =>
    textColumn(fields, options) === undefined
      ? [wordColumn(fields, options), tagColumn(fields, options)]
      : [],
  );
  return (fields): TokenExample | undefined => {
    const text = textColumn(fields, options);
    if (text !== undefined) {
      const example = cutText(fields.text(text), options.cut ?? defaultCut, fields.line);
      return example ?? notice("rows with an empty text were left out", "an empty text");
    }
    const words = fields.list(wordColumn(fields, options), /\s+/, form);
    const tags = options.gold === false ? undefined : tagColumn(fields, options);
    return words.length === 0
      ? undefined
      : { words, ...(tags !== undefined && { tags: tagsOf(fields, tags, words, form) }), line: fields.line };
  };
};

function tagsOf(fields: Fields, column: Column, words: readonly string[], form: ListForm): string[] {
  const tags = fields.list(column, /\s+/, form);
  if (tags.length === words.length) return tags;
  return fields.fail(column, `a tag for each of ${words.length} words`, tags.length);
}

const roles: Mapping<RoleExample> = async (input, survey) => {
  const { options } = input;
  const tagsIn = (fields: Fields): Column | undefined => options.tags ?? fields.first("tags", "labels");
  const form = await wordForm(input, survey, (fields) => [wordColumn(fields, options), tagsIn(fields)]);
  return (fields): RoleExample => {
    const words = fields.list(wordColumn(fields, options), /\s+/, form);
    const column = options.predicate ?? fields.first("predicate", "predicate_index") ?? "predicate";
    const predicate = fields.number(column);
    if (!Number.isInteger(predicate) || predicate < 0 || predicate >= words.length) {
      fields.fail(column, `the number of one of ${words.length} words`, predicate);
    }
    const tags = tagsIn(fields);
    const sense = options.sense ?? fields.first("sense", "roleset");
    return {
      words,
      predicate,
      ...(sense !== undefined && { sense: fields.text(sense) }),
      ...(tags !== undefined && { tags: tagsOf(fields, tags, words, form) }),
      group: options.group === undefined ? words.join(" ") : fields.text(options.group),
      line: fields.line,
    };
  };
};

const answers: Mapping<UnplacedAnswers> =
  (input) =>
  (fields): UnplacedAnswers => {
    const { options } = input;
    const context = fields.text(options.context ?? "context");
    const column = options.answers ?? fields.first("answers");
    const id = options.id ?? fields.first("id", "idx");
    const group = options.group ?? fields.first("title");
    const found =
      column === undefined || options.gold === false
        ? undefined
        : answersFrom(input.path, fields.line, fields.value(column));
    return {
      id: id === undefined ? `line ${fields.line}` : fields.text(id),
      question: fields.text(options.question ?? "question"),
      context,
      ...(found && { answers: found }),
      ...(group !== undefined && { group: fields.text(group) }),
      line: fields.line,
    };
  };
