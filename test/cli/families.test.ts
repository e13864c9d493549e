/** Every task family on the real command line, from files as its field has them: init, train, evaluate, predict. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChoiceExample, RoleExample, TextExample, TokenExample } from "ptuning/data";
import { completeConfig, parseConfig, readData } from "ptuning/internal/config";
import { Rng } from "ptuning/internal/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { textFamilies, wordFamilies } from "../support/families.ts";
import { tinyFolder } from "../support/tiny.ts";

let folder: string;
const run = async (...args: string[]): Promise<CliResult> => {
  const result = await ptuning(args, {
    cwd: folder,
    env: { PTUNING_CACHE: join(folder, "cache"), HF_HUB_OFFLINE: "1" },
  });
  expect(result.stderr).not.toMatch(/error:|defect:/);
  return result;
};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-families-"));
});
afterAll(() => rm(folder, { recursive: true }));

const jsonLines = (rows: readonly unknown[]): string =>
  `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`;
const grouped = (rows: readonly TextExample[]): TextExample[][] => {
  const groups = new Map<string, TextExample[]>();
  for (const row of rows) groups.set(row.group!, [...(groups.get(row.group!) ?? []), row]);
  return [...groups.values()];
};

interface FileCase {
  readonly type: string;
  /** Name of the training file. */
  readonly name: string;
  /** Examples as a file of the field has them; without what is to be predicted if `isOpen`. */
  write(count: number, seed: number, isOpen: boolean): string;
  readonly reaches: readonly [score: string, least: number];
  /** What `predict --json` gives for each example, and the titles of the table. */
  readonly predicts: object;
  readonly table: RegExp;
  readonly more?: readonly string[];
}

/** A family's examples, written by `format`. */
function fileOf<E extends object>(
  type: string,
  name: string,
  format: (examples: readonly E[], isOpen: boolean) => string,
  rest: Pick<FileCase, "predicts" | "table" | "more">,
): FileCase {
  const family = [...textFamilies, ...wordFamilies].find((one) => one.type === type)!;
  const write: FileCase["write"] = (count, seed, isOpen) => format(family.make(count, seed) as E[], isOpen);
  return { type, name, write, reaches: family.reaches, ...rest };
}

const text = expect.any(String);
const number = expect.any(Number);

const files: readonly FileCase[] = [
  fileOf<TextExample>(
    "text-classification",
    "intents.csv",
    (rows, isOpen) =>
      isOpen
        ? `text\n${rows.map((row) => row.text).join("\n")}\n`
        : `text,label\n${rows.map((row) => `${row.text},${row.label}`).join("\n")}\n`,
    {
      predicts: { label: text, score: number },
      table: /^row +line +label +score +text\n +1 +2 +(alpha|beta|oos) +0\.\d{4} +w/,
      more: ["--set", "task.outOfScope=oos"],
    },
  ),
  fileOf<TextExample>(
    "multi-label",
    "topics.jsonl",
    (rows, isOpen) => jsonLines(rows.map(({ text, labels }) => (isOpen ? { text } : { text, labels }))),
    {
      predicts: { labels: expect.any(Array), probabilities: { a: number } },
      table: /^row +line +labels +text\n/,
    },
  ),
  fileOf<TextExample>(
    "regression",
    "ratings.csv",
    (rows, isOpen) =>
      isOpen
        ? `text\n${rows.map((row) => row.text).join("\n")}\n`
        : `text,rating\n${rows.map((row) => `${row.text},${row.score}`).join("\n")}\n`,
    { predicts: { score: number }, table: /^row +line +score +text\n/ },
  ),
  fileOf<ChoiceExample>(
    "multiple-choice",
    "choices.jsonl",
    (rows, isOpen) => jsonLines(isOpen ? rows.map(({ label, ...row }) => row) : rows),
    {
      predicts: { choice: number, text, probabilities: expect.any(Array) },
      table: /^row +line +choice +score +alternative +text\n/,
    },
  ),
  fileOf<TextExample>(
    "answer-selection",
    "multirc.jsonl",
    (rows, isOpen) =>
      jsonLines(
        grouped(rows).map((options, idx) => {
          const answers = options.map(({ candidate, label }, i) => ({
            ...{ text: candidate, idx: i },
            ...(!isOpen && { label: Number(label === "true") }),
          }));
          const questions = [{ question: "w30", answers, idx: 0 }];
          return { idx, passage: { text: options[0]!.text, questions } };
        }),
      ),
    {
      predicts: { label: text, group: text, candidate: text },
      table: /^row +line +id +label +score +text\n/,
    },
  ),
  fileOf<TextExample>(
    "candidate-ranking",
    "record.jsonl",
    (rows, isOpen) =>
      jsonLines(
        grouped(rows).map((options, idx) => {
          const names = options.map(({ candidate }) => candidate!);
          const starts = names.map((_, i) => names.slice(0, i).join(" ").length + Number(i > 0));
          const places = names.map((name, i) => ({
            start: starts[i]!,
            end: starts[i]! + name.length - 1,
            text: name,
          }));
          const answers = places.filter((_, i) => options[i]!.label === "true");
          const qas = [{ query: "w30 @placeholder", idx: 0, ...(!isOpen && { answers }) }];
          const entities = places.map(({ start, end }) => ({ start, end }));
          return { source: "w", idx, passage: { text: names.join(" "), entities }, qas };
        }),
      ),
    {
      predicts: { chosen: expect.any(Boolean), candidate: text },
      table: /^row +line +id +chosen +candidate +label +score +text\n/,
    },
  ),
  fileOf<TokenExample>(
    "token-classification",
    "names.conll",
    (rows) =>
      rows.map(({ words, tags }) => words.map((word, i) => `${word} ${tags![i]}\n`).join("")).join("\n"),
    {
      predicts: { entities: expect.any(Array), tags: expect.any(Array) },
      table: /^row +line +entity +type +score +words/,
    },
  ),
  fileOf<RoleExample>(
    "semantic-roles",
    "roles.jsonl",
    (rows, isOpen) =>
      jsonLines(
        rows.map(({ words: tokens, predicate, tags }) => ({ tokens, predicate, ...(!isOpen && { tags }) })),
      ),
    {
      predicts: { predicate: 1, roles: expect.any(Array) },
      table: /^row +line +predicate +role +text +score/,
    },
  ),
  {
    type: "question-answering",
    name: "squad.json",
    write(count, seed, isOpen) {
      const rng = new Rng(seed);
      const paragraphs = Array.from({ length: count }, (_, i) => {
        const words = Array.from({ length: 5 }, () => `w${10 + rng.integer(20)}`);
        const at = rng.integer(5);
        words[at] = "w1";
        const start = words.slice(0, at).join(" ").length + Number(at > 0);
        const answers = [{ text: "w1", answer_start: start }];
        const question = { id: `q${seed}-${i}`, question: "w30", ...(!isOpen && { answers }) };
        return { context: words.join(" "), qas: [question] };
      });
      const data = paragraphs.map((paragraph, i) => ({ title: `article ${i}`, paragraphs: [paragraph] }));
      return JSON.stringify({ version: "1.1", data });
    },
    reaches: ["f1", 0.7],
    predicts: { id: text, text, start: number, end: number },
    table: /^row +line +id +answer +score +characters +question\n/,
  },
];

test("no family is left out", async () => {
  const { taskFamilies } = await import("ptuning/tasks");
  expect(files.map(({ type }) => type).sort()).toEqual(taskFamilies.map(({ type }) => type).sort());
});

describe.concurrent.each(files)("$type", ({ type, name, write, reaches, predicts, table, more = [] }) => {
  test("init, train, evaluate and predict, from a file of its own", async () => {
    const at = (kind: string): string => `${kind}-${name}`;
    await writeFile(join(folder, at("train")), write(150, 1, false));
    await writeFile(join(folder, at("test")), write(45, 2, false));
    await writeFile(join(folder, at("open")), write(45, 2, true));
    const config = `${type}.yaml`;
    const { stdout } = await run("init", at("train"), "-o", config);
    expect(stdout).toContain(`Task: ${type}, `);
    expect(await readFile(join(folder, config), "utf8")).toMatch(
      new RegExp(`^task:\\n  type: ${type}  # `, "m"),
    );

    const use = ["--backbone", tinyFolder, "--precision", "fp32", "--threads", "1"];
    const settings = ["--epochs", "8", "--batch-size", "8", "--learning-rate", "2e-2", "--max-length", "24"];
    const prompt = ["--prompt-length", "3", "--set", "method.initScale=0.5", ...more];
    const out = `runs/${type}`;
    const trained = await run(
      "train",
      config,
      ...use,
      ...settings,
      ...prompt,
      "--test",
      at("test"),
      "--baselines",
      "-o",
      out,
    );
    expect(trained.code).toBe(0);
    const result = JSON.parse(await readFile(join(folder, out, "result.json"), "utf8"));
    const [score, least] = reaches;
    expect(result.test[score]).toBeGreaterThan(least);
    for (const { scores } of result.baselines ?? [])
      expect(Object.keys(scores)).toEqual(Object.keys(result.test));

    const evaluated = JSON.parse((await run("evaluate", out, at("test"), ...use, "--json")).stdout);
    for (const [key, value] of Object.entries(result.test))
      expect(evaluated.scores[key]).toBeCloseTo(value as number, 3);

    const lines = (await run("predict", out, "--input", at("open"), ...use, "--json")).stdout
      .trim()
      .split("\n");
    for (const line of lines) expect(JSON.parse(line)).toMatchObject(predicts);
    expect(lines).toHaveLength(evaluated.examples);
    expect((await run("predict", out, "--input", at("open"), ...use)).stdout).toMatch(table);
    expect((await run("inspect", `${out}/adapter`)).stdout).toMatch(new RegExp(`task +${type}`));
    const card = await readFile(join(folder, out, "adapter/README.md"), "utf8");
    expect(card).toMatch(new RegExp(`# ${type} adapter`));
  }, 180_000);
});

test("settings of another family are refused once the data has said which it is", async () => {
  await writeFile(join(folder, "some.csv"), files[0]!.write(60, 3, false));
  const args = ["train", "some.csv", "--backbone", tinyFolder, "--dry-run"];
  const at = { cwd: folder };
  const foreign = await ptuning([...args, "--set", "task.threshold=0.4"], at);
  expect(foreign).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/a text-classification task.*task\.threshold: a key of multi-label/),
  });
  const unknown = await ptuning([...args, "--task", "text-clasification"], at);
  expect(unknown.stderr).toMatch(
    /task\.type: expected one of .*text-classification.*, got "text-clasification"/,
  );
  const typed = await ptuning([...args, "--task", "regression", "--set", "task.scal=2"], at);
  expect(typed.stderr).toMatch(/task\.scal: unknown key\. Did you mean "scale"\?/);
});

test("a task whose examples are more than a text asks for a file", async () => {
  const { code, stderr } = await ptuning(
    ["predict", "runs/multiple-choice", "w1", "--backbone", tinyFolder],
    {
      cwd: folder,
    },
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(/expected --input, as a text alone is no multiple-choice example/);
});

test("limit trains on a stated number of examples, the same ones each time", async () => {
  const path = join(folder, "many.csv");
  await writeFile(path, files[0]!.write(120, 4, false));
  const dry = ["train", path, "--backbone", tinyFolder, "--set", "data.limit=40", "--dry-run", "--json"];
  const events = (await run(...dry)).stdout
    .split("\n")
    .flatMap((line) => (line === "" ? [] : JSON.parse(line)));
  expect(events.find(({ type }) => type === "start").examples.train).toBe(40);
  expect(events.find(({ type }) => type === "warning").message).toMatch(
    /^40 of \d+ training examples are used/,
  );

  const read = async (data: object) => {
    const text = JSON.stringify({ data: { train: path, limit: 40, ...data } });
    return readData(await completeConfig(parseConfig({ text })));
  };
  const [first, again, other] = await Promise.all([read({}), read({}), read({ splitSeed: 12 })]);
  expect(again).toEqual(first);
  expect(other.train).not.toEqual(first.train);
});
