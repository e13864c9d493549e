import type { ChoiceExample, ExampleKind, ExampleKinds, TextExample } from "../example.ts";
import { dataError, type Format, type FormatInput, type Reader } from "../format.ts";
import { isJsonLines } from "../json-outline.ts";
import { isRecord, jsonRows } from "../lines.ts";

/** One record of a SuperGLUE file, with messages that say what was expected. */
export class SuperglueRecord {
  readonly input: FormatInput;
  readonly line: number;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(input: FormatInput, line: number, fields: Readonly<Record<string, unknown>>) {
    this.input = input;
    this.line = line;
    this.fields = fields;
  }

  fail(expected: string): never {
    throw dataError(this.input.path, this.line, `expected ${expected}`);
  }

  text(key: string): string {
    const value = this.fields[key];
    return typeof value === "string" ? value : this.fail(`a text "${key}"`);
  }

  integer(key: string): number {
    const value = this.fields[key];
    return Number.isInteger(value) ? (value as number) : this.fail(`an integer "${key}"`);
  }

  /** An object inside the record. */
  inside(key: string): SuperglueRecord {
    return this.of(this.fields[key], `an object "${key}"`);
  }

  /** The objects of a list inside the record. */
  each(key: string): SuperglueRecord[] {
    const value = this.fields[key];
    if (!Array.isArray(value)) return this.fail(`a list "${key}"`);
    return value.map((item) => this.of(item, `objects in "${key}"`));
  }

  /** Label as a text: truth values and numbers as JSON has them; nothing where the file has no labels. */
  label(key = "label"): { readonly label?: string } {
    const value = this.fields[key];
    if (value === undefined || value === null) return {};
    if (typeof value === "object" || value === "") return this.fail(`a label "${key}"`);
    return { label: String(value) };
  }

  private of(value: unknown, expected: string): SuperglueRecord {
    return isRecord(value) ? new SuperglueRecord(this.input, this.line, value) : this.fail(expected);
  }
}

/** A SuperGLUE task, recognised by the keys of its first record. */
export function superglueTask<K extends ExampleKind>(
  title: string,
  kind: K,
  keys: RegExp,
  read: (record: SuperglueRecord) => Iterable<ExampleKinds[K]>,
): Format {
  const reader: Reader<K> = async function* examples(input) {
    for await (const { line, fields } of jsonRows(input)) {
      try {
        yield* [...read(new SuperglueRecord(input, line, fields))];
      } catch (error) {
        input.reject(error);
      }
    }
  };
  return {
    title,
    readers: { [kind]: reader },
    fits: (look) => isJsonLines(look) && keys.test(firstKeys(look.start)),
  };
}

/** The keys of the first record, joined by blanks, those of objects inside it too. */
function firstKeys(start: string): string {
  const record = start.trimStart().split("\n", 1)[0]!;
  const outside = record.replace(/"((?:[^"\\]|\\.)*)"(\s*:)?/g, (_, text: string, colon) =>
    colon ? ` ${text} ` : "",
  );
  return ` ${outside.replace(/[^\w]+/g, " ")} `;
}

/** BoolQ: question and passage. */
export const boolq: Format = superglueTask(
  "SuperGLUE BoolQ",
  "text",
  /^(?=.* question )(?=.* passage )(?!.* (context|qas|questions) )/,
  (record) => [
    { text: record.text("question"), pair: record.text("passage"), ...record.label(), line: record.line },
  ],
);

/** CB and RTE: premise and hypothesis. */
export const nli: Format = superglueTask(
  "SuperGLUE CB or RTE",
  "text",
  /^(?=.* premise )(?=.* hypothesis )/,
  (record) => [
    { text: record.text("premise"), pair: record.text("hypothesis"), ...record.label(), line: record.line },
  ],
);

/** COPA: `premise because` or `premise so`, paired with each choice. */
export const copa: Format = superglueTask(
  "SuperGLUE COPA",
  "choices",
  /^(?=.* premise )(?=.* choice1 )(?=.* choice2 )/,
  (record): ChoiceExample[] => {
    const question = record.text("question");
    if (question !== "cause" && question !== "effect") record.fail(`a question "cause" or "effect"`);
    const label = record.fields.label === undefined ? undefined : record.integer("label");
    if (label !== undefined && label !== 0 && label !== 1) record.fail("a label 0 or 1");
    return [
      {
        text: `${record.text("premise")} ${question === "cause" ? "because" : "so"}`,
        choices: [record.text("choice1"), record.text("choice2")],
        ...(label !== undefined && { label }),
        line: record.line,
      },
    ];
  },
);

/** WiC: template 0 is one text with a question, template 1 a pair `word: sentence`. */
export const wic: Format = superglueTask(
  "SuperGLUE WiC",
  "text",
  /^(?=.* word )(?=.* sentence1 )(?=.* sentence2 )/,
  (record): TextExample[] => {
    const [word, first, second] = ["word", "sentence1", "sentence2"].map((key) => record.text(key)) as [
      string,
      string,
      string,
    ];
    const texts =
      record.input.options.template === 1
        ? { text: `${word}: ${first}`, pair: `${word}: ${second}` }
        : { text: `${first} ${second} Does ${word} have the same meaning in both sentences?` };
    return [{ ...texts, ...record.label(), line: record.line }];
  },
);

/** WSC: template 0 puts the pronoun in front, template 1 stars it; the other mention is the second text. */
export const wsc: Format = superglueTask(
  "SuperGLUE WSC",
  "text",
  /^(?=.* target )(?=.* span1_text )(?=.* span2_text )/,
  (record): TextExample[] => {
    const target = record.inside("target");
    const [text, pronoun, index] = [
      record.text("text"),
      target.text("span2_text"),
      target.integer("span2_index"),
    ];
    let first = `${pronoun}: ${text}`;
    if (record.input.options.template === 1) {
      // As the reference: words by white space; the word at the index counts where it differs from the span's text.
      const words = text.trim().split(/\s+/);
      if (!(index >= 0 && index < words.length))
        record.fail(`span2_index below ${words.length}, got ${index}`);
      words[index] = `*${words[index]}*`;
      first = words.join(" ");
    }
    return [{ text: first, pair: target.text("span1_text"), ...record.label(), line: record.line }];
  },
);
