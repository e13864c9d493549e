/** What a data file seems to hold: kind, columns, and through them the task. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guessReading } from "ptuning/data";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-guess-"));
});
afterAll(() => rm(folder, { recursive: true }));

const rows = 12;
const csv = (header: string, line: (i: number) => string): string =>
  `${header}\n${Array.from({ length: rows }, (_, i) => line(i)).join("\n")}\n`;
const jsonl = (line: (i: number) => object): string =>
  `${Array.from({ length: rows }, (_, i) => JSON.stringify(line(i))).join("\n")}\n`;
const sentence = (i: number): string => `a sentence of its own number ${i}`;

describe("a table", () => {
  test.each<[string, string, string, object]>([
    [
      "labels of texts",
      "a.csv",
      csv("text,label", (i) => `${sentence(i)},${i % 2}`),
      { kind: "text", options: { text: "text", label: "label" }, labels: ["0", "1"] },
    ],
    [
      "pairs",
      "b.csv",
      csv("premise,hypothesis,label", (i) => `${sentence(i)},${sentence(i + 50)},${i % 3}`),
      { kind: "text", options: { text: ["premise", "hypothesis"], label: "label" } },
    ],
    [
      "numbers that are no classes",
      "c.csv",
      csv("text,value", (i) => `${sentence(i)},${i / 4}`),
      { kind: "text", options: { text: "text", score: "value" }, labels: [] },
    ],
    [
      "classes that are numbers, beside a score",
      "d.csv",
      csv("text,label,score", (i) => `${sentence(i)},${i % 4},${i % 5}`),
      { kind: "text", options: { text: "text", label: "label", score: "score" } },
    ],
    [
      "several labels in a list",
      "e.jsonl",
      jsonl((i) => ({ text: sentence(i), topics: i % 2 ? ["x", "y"] : [] })),
      { kind: "text", options: { text: "text", labels: "topics" } },
    ],
    [
      "alternatives in columns",
      "f.csv",
      csv("premise,choice1,choice2,label", (i) => `${sentence(i)},yes ${i},no ${i},${i % 2}`),
      { kind: "choices", options: { text: "premise", choices: ["choice1", "choice2"], label: "label" } },
    ],
    [
      "alternatives in a list",
      "g.jsonl",
      jsonl((i) => ({ text: sentence(i), choices: [`yes ${i}`, `no ${i}`], label: i % 2 })),
      { kind: "choices", options: { text: "text", choices: "choices", label: "label" } },
    ],
    [
      "words",
      "h.jsonl",
      jsonl((i) => ({ tokens: ["a", `b${i}`], ner_tags: ["O", "B-X"] })),
      { kind: "tokens" },
    ],
    [
      "predicates",
      "i.jsonl",
      jsonl((i) => ({ tokens: ["a", `b${i}`], predicate: 1, tags: ["B-ARG0", "B-V"] })),
      { kind: "roles" },
    ],
    [
      "questions",
      "j.jsonl",
      jsonl((i) => ({
        id: i,
        question: sentence(i),
        context: "a b c",
        answers: { text: ["b"], answer_start: [2] },
      })),
      { kind: "answers" },
    ],
  ])("of %s", async (_, name, content, expected) => {
    await writeFile(join(folder, name), content);
    const guess = await guessReading(join(folder, name));
    expect(guess).toMatchObject({ ...expected, rows, path: join(folder, name) });
  });

  test("keeps the columns that are given, also where it would find none", async () => {
    const path = join(folder, "k.csv");
    await writeFile(
      path,
      csv("x,y", (i) => `${i},${i % 2}`),
    );
    await expect(guessReading(path)).rejects.toThrow(/expected a column of texts, got x, y/);
    expect((await guessReading(path, { text: "x" })).options).toMatchObject({
      text: "x",
      label: "y",
      header: true,
    });
  });
});

test("files of a field say all by themselves, and a folder has one to train on", async () => {
  const line = JSON.stringify({
    premise: "It rains.",
    question: "effect",
    choice1: "a",
    choice2: "b",
    label: 0,
    idx: 0,
  });
  await mkdir(join(folder, "copa"));
  await writeFile(join(folder, "copa/train.jsonl"), `${line}\n`);
  await writeFile(join(folder, "copa/val.jsonl"), `${line}\n`);
  const guess = await guessReading(join(folder, "copa"));
  expect(guess).toMatchObject({
    kind: "choices",
    format: "copa",
    options: {},
    path: join(folder, "copa/train.jsonl"),
  });
});

describe("a file whose name does not tell", () => {
  const block = (i: number): string =>
    [`#doc ${i}`, "0\tIn\tO\t['N']\t[0]", `1\tRome${i}\tB-Loc\t['Live_In']\t[0]`, "2\t.\tO\t['N']\t[2]"].join(
      "\n",
    );
  test.each<[string, string, string, object]>([
    [
      "numbered words, and tags that stand in the middle",
      "numbered.txt",
      `${Array.from({ length: 4 }, (_, i) => block(i)).join("\n")}\n\n`,
      { kind: "tokens", format: "conll", options: { tokenColumn: 2, tagColumn: 3 } },
    ],
    [
      "the last of several columns of tags",
      "chunks.conll",
      "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n1 CD B-NP O\n\n",
      { kind: "tokens", format: "conll", options: {} },
    ],
    [
      "words that happen to be numbers",
      "years.conll",
      "1 CD O\n2 CD O\n\n1996 CD B-DATE\n\n",
      { kind: "tokens", format: "conll", options: {} },
    ],
    [
      "labels in front of texts, named by its split",
      "polarity.binary.train",
      Array.from({ length: rows }, (_, i) => `${i % 2} ${sentence(i)}\n`).join(""),
      { format: "lines", options: { text: 1, labelPattern: "^(?<label>\\d+) (?<text>.*)$" } },
    ],
    [
      "columns in a text file",
      "pairs.txt",
      `id\tsentence_A\tsentence_B\tscore\tlabel\r\n${Array.from(
        { length: rows },
        (_, i) => `${i}\t${sentence(i)}\t${sentence(i + 50)}\t${1 + i / 4}\t${i % 3}\r\n`,
      ).join("")}`,
      { format: "tsv", options: { text: ["sentence_A", "sentence_B"], label: "label", score: "score" } },
    ],
    [
      "a text file with a stray tab",
      "stray.txt",
      Array.from({ length: rows }, (_, i) => `${i % 2} ${sentence(i)}${i === 5 ? "\tindeed" : ""}\n`).join(
        "",
      ),
      { format: "lines" },
    ],
  ])("%s", async (_, name, content, expected) => {
    await writeFile(join(folder, name), content);
    expect(await guessReading(join(folder, name))).toMatchObject(expected);
    if ("options" in expected && Object.keys(expected.options as object).length === 0)
      expect((await guessReading(join(folder, name))).options).toEqual({});
  });

  test("a folder without anything to train on says so", async () => {
    await mkdir(join(folder, "only"));
    await writeFile(join(folder, "only/val.conllu"), "1\ta\tO\n\n");
    await expect(guessReading(join(folder, "only"))).rejects.toMatchObject({
      code: "DATA_NOT_FOUND",
      message: expect.stringContaining("expected a file for training, found none in the folder"),
    });
  });
});
