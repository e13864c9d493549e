/** Every format: recognised by itself, read as written, refused with a message that helps. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type FormatName, formats, formatsOf, type ReadOptions, readExamples } from "ptuning/data";
import { Rng } from "ptuning/internal/core";
import { afterAll, describe, expect, test } from "vitest";
import { type WrittenFormat, writeAll, writtenFormats } from "./written-formats.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-formats-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
/** A file with a text; the name may matter to its format. */
function file(text: string | Buffer, name = "data"): string {
  const own = join(folder, String(files++));
  mkdirSync(own);
  writeFileSync(join(own, name), text);
  return join(own, name);
}

const names: { readonly [F in FormatName]?: string } = {
  csv: "data.csv",
  tsv: "data.tsv",
  conllu: "data.conllu",
  "conllu-roles": "data.conllu",
  "gold-conll": "data.gold_conll",
  squad: "data.json",
  clinc: "data.json",
  spert: "data.json",
  json: "data.json",
  "label-studio": "data.json",
  "label-studio-min": "data.json",
  "label-studio-choices": "data.json",
  jsonl: "data.jsonl",
};

describe("as written", () => {
  test.for(Object.entries(writtenFormats) as [FormatName, WrittenFormat][])("%s", async ([name, format]) => {
    const rng = new Rng(3, name);
    const records = Array.from({ length: 20 }, (_, i) => format.record(rng, i));
    const texts = writeAll(
      format,
      records.map(({ text }) => text),
    );
    let path = join(folder, `parallel-${name}`);
    if (format.files === undefined) path = file(texts[0]!, names[name]);
    else {
      mkdirSync(path);
      for (const [i, one] of format.files.entries()) writeFileSync(join(path, one), texts[i]!);
    }
    // Of what the file looks like, the first with such examples is this format; tables may have any columns.
    const candidates = (await formatsOf(path)).filter(
      (one) => formats[one].readers[format.kind] !== undefined,
    );
    expect(candidates[0]).toBe(name);
    const expected = records.flatMap(({ examples }) => examples);
    const read = await readExamples(path, { ...format.options, kind: format.kind, damaged: "skip" });
    expect(read.examples.map((example) => ({ ...example }))).toMatchObject(expected);
    expect(read.examples.length).toBe(expected.length);
    if (format.files === undefined) {
      const zipped = file(gzipSync(texts[0]!), `${names[name] ?? "data"}.gz`);
      const unzipped = await readExamples(zipped, { ...format.options, kind: format.kind, damaged: "skip" });
      expect(unzipped.examples).toEqual(read.examples);
    }
  });
});

/** The message of what reading a file throws. */
async function refusal(path: string, options: ReadOptions): Promise<string> {
  const error = await readExamples(path, options as ReadOptions & { kind: "text" }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  return (error as Error).message.replace(path, "FILE");
}

describe("messages", () => {
  test.for<[string, string, ReadOptions, string]>([
    [
      "a sentence with another number of columns",
      "a O\nb x O\n\n",
      { format: "conll" },
      "FILE: line 2: expected 2 columns as in the lines before, got 3.",
    ],
    ["CoNLL-U", "x\ty\tz\n\n", { format: "conllu" }, 'FILE: line 1: expected the number of a word, got "x".'],
    ["word:TAG", "a:O b\n", { format: "word-tags" }, 'FILE: line 1: expected word:TAG, got "b".'],
    [
      "a bracket that stays open",
      "a NN (NP*) * - go (V*\n\n",
      { format: "conll-2005" },
      "FILE: line 1: expected the bracket of V to be closed in its sentence.",
    ],
    [
      "predicates and columns",
      "a NN (NP*) * - go (V*) *\n\n",
      { format: "conll-2005" },
      "FILE: line 1: expected a column of roles for each of 1 predicates, got 2.",
    ],
    [
      "a predicate outside",
      "9 a b ||| O O\n",
      { format: "role-lines" },
      `FILE: line 1: expected the number of the predicate's word, from 0 to 1, got "9".`,
    ],
    [
      "labels and words",
      "0 a b ||| B-V\n",
      { format: "role-lines" },
      "FILE: line 1: expected a label for each of 2 words, got 1.",
    ],
    [
      "JSON that is cut off",
      '{"data": [{"title": "a", "paragraphs": [',
      { format: "squad" },
      "FILE: line 1: expected a closing bracket, got the end of the file.",
    ],
    [
      "JSON with more behind it",
      '{"data": []} x',
      { format: "squad" },
      'FILE: line 1: expected the end of the file, got "x".',
    ],
    [
      "an answer that is not there",
      '{"data": [{"title": "a", "paragraphs": [{"context": "b", "qas": [\n{"id": "1", "question": "c", "answers": [{"text": "d", "answer_start": 0}]}]}]}]}',
      { format: "squad" },
      'FILE: line 1: the answer "d" of "1" does not occur in its context.',
    ],
    [
      "a span inside a word",
      '{"text": "abc", "spans": [{"start": 0, "end": 2, "label": "X"}]}',
      { format: "spans" },
      'FILE: line 1: expected a span that ends at word borders, got "ab" in "abc".',
    ],
    [
      "a span outside the text",
      '{"text": "abc", "spans": [{"start": 0, "end": 9, "label": "X"}]}',
      { format: "spans" },
      "FILE: line 1: expected spans inside a text of 3 characters, got 0 to 9.",
    ],
    [
      "no such format",
      "x",
      { format: "cvs" as FormatName },
      `format: expected one of ${Object.keys(formats).join(", ")}, got "cvs".`,
    ],
    [
      "a format without such examples",
      "a,b\n",
      { format: "squad", kind: "roles" },
      "FILE: expected a format with roles (parquet, gold-conll, conll-2012, conll-2005, role-lines, conllu-roles, json, csv, tsv, jsonl), got squad.",
    ],
  ])("%s", async ([, text, options, message]) => {
    expect(await refusal(file(text, "x"), options)).toBe(message);
  });

  test("says which formats would fit", async () => {
    const path = file('{"data": [{"title": "x", "paragraphs": []}]}', "x.json");
    expect(await refusal(path, { format: "clinc", kind: "answers" })).toContain("The file looks like squad");
    expect(await refusal(file("?", "x.bin"), {})).toBe(
      'FILE: expected a data file of a known format, got "x.bin".',
    );
  });

  test("skipping counts and names what was left out", async () => {
    const path = file("a O\nb\n\nc O\n\nd\ne O\n\n", "x");
    const { examples, warnings } = await readExamples(path, {
      kind: "tokens",
      format: "conll",
      damaged: "skip",
    });
    expect(examples.map(({ words }) => words)).toEqual([["c"]]);
    expect(warnings).toEqual([
      `${path}: 2 damaged records were left out: line 2: expected 2 columns as in the lines before, got 1; ` +
        "line 7: expected 1 columns as in the lines before, got 2.",
    ]);
  });
});

describe("column mapping", () => {
  test("any table feeds any kind", async () => {
    const jsonl = file(
      [
        {
          words: ["a", "b"],
          bio: '["B-X", "O"]',
          pred: 1,
          q: "who?",
          c: "it is a 😀 cat",
          a: "cat",
          id: 7,
          one: "x",
          two: "y",
          right: "two",
        },
      ]
        .map((row) => JSON.stringify(row))
        .join("\n"),
      "x.jsonl",
    );
    const first = async (options: ReadOptions): Promise<object> =>
      (await readExamples(jsonl, options as ReadOptions & { kind: "text" })).examples[0]!;
    expect(await first({ tokens: "words", tags: "bio" })).toEqual({
      words: ["a", "b"],
      tags: ["B-X", "O"],
      line: 1,
    });
    expect(await first({ tokens: "words", predicate: "pred" })).toMatchObject({
      words: ["a", "b"],
      predicate: 1,
    });
    expect(await first({ question: "q", context: "c", answers: "a", id: "id" })).toEqual({
      id: "7",
      question: "who?",
      context: "it is a 😀 cat",
      answers: [{ text: "cat", start: 11 }],
      line: 1,
    });
    expect(await first({ text: "q", choices: ["one", "two"], label: "right" })).toEqual({
      text: "who?",
      choices: ["x", "y"],
      label: 1,
      line: 1,
    });
  });

  test("labels joined by a separator, or none", async () => {
    const path = file("text,y\na,x;z\nb,\nc,z\n", "x.csv");
    const { examples } = await readExamples(path, { text: "text", labels: "y", labelSeparator: ";" });
    expect(examples.map(({ labels }) => labels)).toEqual([["x", "z"], [], ["z"]]);
  });
});

describe("answers without or beside their offset", () => {
  const asked = (context: string, answer: object): string =>
    JSON.stringify({
      data: [{ title: "t", paragraphs: [{ context, qas: [{ id: "1", question: "?", answers: [answer] }] }] }],
    });

  test.for<[string, string, object, number | string]>([
    ["code points before an astral character", "a 😀 cat", { text: "cat", answer_start: 4 }, 5],
    ["the only place", "a cat", { text: "cat", answer_start: 0 }, 2],
    ["the nearest place", "cat and cat and cat", { text: "cat", answer_start: 9 }, 8],
    ["blanks around it", "a cat", { text: " cat ", answer_start: 1 }, 2],
    ["no offset", "a cat", { text: "cat" }, 2],
    [
      "two places and no offset",
      "cat cat",
      { text: "cat" },
      "occurs 2 times in its context and has no offset",
    ],
    ["half an offset", "cat..cat", { text: "cat", answer_start: 2.5 }, "as {text, answer_start}"],
    ["the nearer of two", "xx.a.xx", { text: "xx", answer_start: 2 }, 0],
    [
      "as near as another",
      "ab..ab",
      { text: "ab", answer_start: 2 },
      "occurs twice, equally near to its offset",
    ],
  ])("%s", async ([, context, answer, expected]) => {
    const path = file(asked(context, answer), "x.json");
    if (typeof expected === "string")
      return expect(await refusal(path, { kind: "answers" })).toContain(expected);
    const { examples } = await readExamples(path, { kind: "answers" });
    expect(examples[0]!.answers![0]!.start).toBe(expected);
  });
});

describe("spans", () => {
  const spans = (text: string, ...list: [number, number, string][]): string =>
    file(
      JSON.stringify({ text, spans: list.map(([start, end, label]) => ({ start, end, label })) }),
      "x.jsonl",
    );

  test("snapped or dropped, with a count", async () => {
    const path = spans("abc def", [0, 2, "X"], [4, 7, "Y"]);
    const snapped = await readExamples(path, { kind: "tokens", misaligned: "snap" });
    expect(snapped.examples[0]!.tags).toEqual(["B-X", "B-Y"]);
    expect(snapped.warnings).toEqual([
      `${path}: 1 spans that end inside a word were widened to whole words.`,
    ]);
    const dropped = await readExamples(path, { kind: "tokens", misaligned: "drop" });
    expect(dropped.examples[0]!.tags).toEqual(["O", "B-Y"]);
    expect(dropped.warnings).toEqual([`${path}: 1 spans that end inside a word were left out.`]);
  });

  test("overlapping: refused, or the longest kept", async () => {
    const path = spans("a b c", [0, 1, "X"], [0, 3, "Y"], [2, 5, "Z"]);
    expect(await refusal(path, { kind: "tokens" })).toContain("expected spans that do not overlap");
    const { examples, warnings } = await readExamples(path, { kind: "tokens", overlapping: "longest" });
    expect(examples[0]!.tags).toEqual(["B-Y", "I-Y", "O"]);
    expect(warnings).toEqual([`${path}: 2 spans that overlap a longer one were left out.`]);
  });

  test("words: runs of letters and digits, single marks, single Chinese characters", async () => {
    const { examples } = await readExamples(spans("e\u0301t\u00e9's 東京 v2.0 😀!"), { kind: "tokens" });
    expect(examples[0]!.words).toEqual(["e\u0301t\u00e9", "'", "s", "東", "京", "v2", ".", "0", "😀", "!"]);
    const { text, offsets, words } = examples[0]!;
    expect(offsets!.map(([start, end]) => text!.slice(start, end))).toEqual(words);
  });

  test("white space in a span does not count; unannotated rows have no tags", async () => {
    const { examples } = await readExamples(spans(" a b ", [0, 3, "X"]), { kind: "tokens" });
    expect(examples[0]!.tags).toEqual(["B-X", "O"]);
    const plain = await readExamples(file('{"text": "a b"}', "x.jsonl"), { kind: "tokens", format: "spans" });
    expect(plain.examples[0]!.tags).toBeUndefined();
  });
});

describe("SuperGLUE texts", () => {
  const fields = { word: "cat", sentence1: "A cat.", sentence2: "Cats!", label: true };
  const wsc = {
    text: "Ann thinks that she  won .",
    target: { span1_text: "Ann", span2_text: "she", span2_index: 3 },
    label: true,
  };

  test.for<[object, ReadOptions, object]>([
    [fields, {}, { text: "A cat. Cats! Does cat have the same meaning in both sentences?", label: "true" }],
    [fields, { template: 1 }, { text: "cat: A cat.", pair: "cat: Cats!", label: "true" }],
    [wsc, {}, { text: "she: Ann thinks that she  won .", pair: "Ann", label: "true" }],
    [wsc, { template: 1 }, { text: "Ann thinks that *she* won .", pair: "Ann", label: "true" }],
  ])("%j %j", async ([record, options, expected]) => {
    const { examples } = await readExamples(file(JSON.stringify(record), "val.jsonl"), {
      ...options,
      kind: "text",
    });
    expect(examples).toEqual([{ ...expected, line: 1 }]);
  });

  test("files without labels", async () => {
    const path = file(
      '{"premise": "a", "choice1": "b", "choice2": "c", "question": "effect", "idx": 0}',
      "test.jsonl",
    );
    const { examples } = await readExamples(path, { kind: "choices" });
    expect(examples).toEqual([{ text: "a so", choices: ["b", "c"], line: 1 }]);
  });

  test("MultiRC in the official layout", async () => {
    const path = new URL("fixtures/multirc/train.jsonl", import.meta.url).pathname;
    const { examples } = await readExamples(path, { kind: "text" });
    expect(examples.length).toBe(8);
    expect(new Set(examples.map(({ group }) => group)).size).toBe(3);
    expect(new Set(examples.map(({ document }) => document)).size).toBe(2);
    expect(examples[0]).toEqual({
      text: "Sent 1: The ferry leaves at nine. Sent 2: Mara missed it and took the bus.",
      pair: "How did Mara travel? By bus",
      label: "true",
      group: "paragraph 0, question 0",
      document: "paragraph 0",
      candidate: "By bus",
      line: 1,
    });
  });

  test("ReCoRD in the official layout: each entity once, code points, several queries", async () => {
    const path = new URL("fixtures/record/val.jsonl", import.meta.url).pathname;
    const { examples } = await readExamples(path, { kind: "text" });
    const seen = examples.map(({ candidate, label, group }) => [group, candidate, label]);
    expect(seen).toEqual([
      ["passage 0, query 0", "Lund", "false"],
      ["passage 0, query 0", "Mia Holm", "true"],
      ["passage 0, query 1", "Lund", "true"],
      ["passage 0, query 1", "Mia Holm", "false"],
    ]);
    expect(examples[0]).toMatchObject({
      answers: ["Mia Holm", "Holm"],
      pair: "It was Lund who opened it.",
      document: "passage 0",
    });
    expect(examples[0]!.text).toBe(
      "🎉 In Lund a library opened. Mia Holm spoke in Lund.\n- Library opened by Mia Holm",
    );
  });
});
