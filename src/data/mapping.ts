import { closest, PtuningError } from "../core/index.ts";
import { answersFrom, placeAnswers } from "./answers.ts";
import type {
  AnswerExample,
  ChoiceExample,
  ExampleKind,
  ExampleKinds,
  RoleExample,
  TextExample,
  TokenExample,
} from "./example.ts";
import { dataError, type Format, type FormatInput, type Reader, type Row } from "./format.ts";
import type { Column, ColumnOptions } from "./options.ts";

/** Readers of every kind of example from the records of a table, by a column mapping. */
export function tableReaders(rows: (input: FormatInput) => AsyncIterable<Row>): Format["readers"] {
  const reader = <K extends ExampleKind>(map: Mapping<K>): Reader<K> =>
    async function* examples(input) {
      const read = map(input);
      for await (const row of rows(input)) {
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
    answers: reader(answers),
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

type Mapping<K extends ExampleKind> = (input: FormatInput) => (fields: Fields) => ExampleKinds[K] | undefined;

/** The columns of one record, with messages that say what was expected. */
class Fields {
  readonly path: string;
  readonly line: number;
  readonly #fields: Row["fields"];

  constructor(path: string, { line, fields }: Row) {
    this.path = path;
    this.line = line;
    this.#fields = fields;
  }

  fail(column: Column, expected: string, value: unknown): never {
    const got = (JSON.stringify(value, exactly) ?? "nothing").slice(0, 60);
    throw dataError(this.path, this.line, `"${column}": expected ${expected}, got ${got}`);
  }

  /** The first of several columns that is there. */
  first(...columns: (Column | undefined)[]): Column | undefined {
    return columns.find((column) => column !== undefined && (this.#fields[column] ?? null) !== null);
  }

  value(column: Column): unknown {
    const value = this.#fields[column];
    if (value !== undefined && value !== null) return value;
    if (value === null) return this.fail(column, "a value", value);
    const names = Object.keys(this.#fields);
    const near = closest(String(column), names);
    throw dataError(
      this.path,
      this.line,
      `expected a column "${column}", got ${names.slice(0, 12).join(", ")}`,
      {
        hint:
          near === undefined
            ? "Choose the columns with data.text and data.label."
            : `Did you mean "${near}"?`,
      },
    );
  }

  text(column: Column): string {
    const value = this.value(column);
    if (typeof value !== "object") return String(value);
    throw dataError(
      this.path,
      this.line,
      `"${column}": expected a text, a number or a truth value, got a nested one`,
    );
  }

  number(column: Column): number {
    const value = this.value(column);
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : Number.NaN;
    if (typeof value === "number" || typeof value === "bigint") return Number(value);
    return Number.isFinite(number) ? number : this.fail(column, "a number", value);
  }

  /** A list, a JSON array, or a text that is split. */
  list(column: Column, separator: string | RegExp): string[] {
    let value = this.value(column);
    if (typeof value === "string" && /^\s*\[/.test(value)) {
      try {
        value = JSON.parse(value);
      } catch {
        // Not an array but a text that starts with a bracket.
      }
    }
    if (typeof value === "string")
      return value
        .split(separator)
        .map((part) => part.trim())
        .filter((part) => part !== "");
    if (!Array.isArray(value) || value.some((part) => typeof part === "object")) {
      return this.fail(column, "a list of texts", value);
    }
    return value.map(String);
  }
}

function exactly(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

const texts: Mapping<"text"> = ({ options, notice, path }) => {
  if (options.text === undefined && options.label === undefined) options = { ...options, text: "text" };
  const columns = [options.text ?? "text"].flat() as Column[];
  const pattern = compilePattern(options.labelPattern);
  return (fields): TextExample | undefined => {
    let text = fields.text(columns[0]!);
    let label = options.label === undefined ? undefined : fields.text(options.label).trim();
    if (pattern !== undefined) {
      const subject = label ?? text;
      const groups = pattern.exec(subject)?.groups;
      if (groups?.label === undefined) {
        throw dataError(
          path,
          fields.line,
          `expected a text that matches ${pattern}, got "${subject.slice(0, 60)}"`,
        );
      }
      label = groups.label;
      text = groups.text ?? text;
    }
    if (text.trim() === "") return notice("rows with an empty text were left out");
    if (label === "") return notice("rows with an empty label were left out");
    const score = options.score === undefined ? undefined : fields.number(options.score);
    return {
      text,
      ...(columns[1] !== undefined && { pair: fields.text(columns[1]) }),
      ...(label !== undefined && { label }),
      ...(options.labels !== undefined && {
        labels: [...new Set(fields.list(options.labels, options.labelSeparator ?? ","))],
      }),
      ...(score !== undefined && { score }),
      ...(options.group !== undefined && { group: fields.text(options.group) }),
      line: fields.line,
    };
  };
};

const choices: Mapping<"choices"> =
  ({ options, path }) =>
  (fields): ChoiceExample => {
    const column = options.choices ?? "choices";
    const alternatives = Array.isArray(column)
      ? (column as Column[]).map((one) => fields.text(one))
      : fields.list(column as Column, /\r?\n/);
    if (alternatives.length < 2) {
      throw dataError(path, fields.line, `expected at least two choices, got ${alternatives.length}`);
    }
    const [text] = [options.text ?? "text"].flat() as Column[];
    return {
      text: fields.text(text!),
      choices: alternatives,
      ...(options.label !== undefined && {
        label: choiceNumber(fields, options.label, alternatives, [column].flat()),
      }),
      line: fields.line,
    };
  };

function choiceNumber(
  fields: Fields,
  column: Column,
  alternatives: readonly string[],
  columns: readonly unknown[],
): number {
  const label = fields.text(column).trim();
  const byText = Math.max(alternatives.indexOf(label), columns.length > 1 ? columns.indexOf(label) : -1);
  const number = byText >= 0 ? byText : /^\d+$/.test(label) ? Number(label) : -1;
  if (number >= 0 && number < alternatives.length) return number;
  return fields.fail(column, `a number from 0 to ${alternatives.length - 1}, or the text of a choice`, label);
}

const tokens: Mapping<"tokens"> =
  ({ options }) =>
  (fields): TokenExample | undefined => {
    const words = fields.list(
      fields.first(options.tokens, "tokens", "words") ?? options.tokens ?? "tokens",
      /\s+/,
    );
    const tags = options.tags ?? fields.first("tags", "ner_tags", "labels", "pos_tags");
    return words.length === 0
      ? undefined
      : { words, ...(tags !== undefined && { tags: tagsOf(fields, tags, words) }), line: fields.line };
  };

function tagsOf(fields: Fields, column: Column, words: readonly string[]): string[] {
  const tags = fields.list(column, /\s+/);
  if (tags.length === words.length) return tags;
  return fields.fail(column, `a tag for each of ${words.length} words`, tags.length);
}

const roles: Mapping<"roles"> =
  ({ options }) =>
  (fields): RoleExample => {
    const words = fields.list(options.tokens ?? fields.first("tokens", "words") ?? "tokens", /\s+/);
    const column = options.predicate ?? fields.first("predicate", "predicate_index") ?? "predicate";
    const predicate = fields.number(column);
    if (!Number.isInteger(predicate) || predicate < 0 || predicate >= words.length) {
      fields.fail(column, `the number of one of ${words.length} words`, predicate);
    }
    const tags = options.tags ?? fields.first("tags", "labels");
    const sense = options.sense ?? fields.first("sense", "roleset");
    return {
      words,
      predicate,
      ...(sense !== undefined && { sense: fields.text(sense) }),
      ...(tags !== undefined && { tags: tagsOf(fields, tags, words) }),
      group: options.group === undefined ? words.join(" ") : fields.text(options.group),
      line: fields.line,
    };
  };

const answers: Mapping<"answers"> =
  (input) =>
  (fields): AnswerExample | undefined => {
    const { options } = input;
    const context = fields.text(options.context ?? "context");
    const column = options.answers ?? fields.first("answers");
    const id = options.id ?? fields.first("id", "idx");
    const group = options.group ?? fields.first("title");
    const found =
      column === undefined ? undefined : answersFrom(input.path, fields.line, fields.value(column));
    return placeAnswers(input, {
      id: id === undefined ? `line ${fields.line}` : fields.text(id),
      question: fields.text(options.question ?? "question"),
      context,
      ...(found && { answers: found }),
      ...(group !== undefined && { group: fields.text(group) }),
      line: fields.line,
    });
  };

function compilePattern(source: string | undefined): RegExp | undefined {
  if (source === undefined) return undefined;
  try {
    const pattern = new RegExp(source, "u");
    if (source.includes("(?<label>")) return pattern;
  } catch (cause) {
    throw new PtuningError("OPTION_INVALID", `labelPattern: expected a regular expression, got ${source}.`, {
      cause,
    });
  }
  throw new PtuningError("OPTION_INVALID", "labelPattern: expected a group named label: (?<label>…).");
}
