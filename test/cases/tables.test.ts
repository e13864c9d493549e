/** Small tables that are easily misread: what is taken for what, by the reader and by the command line. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ExampleKind, guessReading, type ReadOptionsFor, readExamples } from "ptuning/data";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";

const cases = new URL(".", import.meta.url).pathname;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-tables-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Looks at the data as the command line does before it trains; without a backbone nothing is measured. */
async function checked(
  path: string,
  ...flags: string[]
): Promise<{ code: number | null; events: Record<string, unknown>[]; stderr: string }> {
  const env = { PTUNING_CACHE: join(folder, "cache"), HF_HUB_OFFLINE: "1" };
  const { code, stdout, stderr } = await ptuning(["check-data", path, "--json", ...flags], { env });
  const events =
    stdout.trim() === ""
      ? []
      : stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line));
  return { code, events, stderr };
}

interface Right {
  /** Of the event that says what was taken for what. */
  readonly said: object;
  /** First examples, as the reader gives them. */
  readonly first: readonly object[];
}

describe("cases", () => {
  test.each<[string, Right]>([
    [
      "choices_numeric_text_label_is_index.csv",
      {
        said: { taskType: "multiple-choice", choiceLabels: "from-0", columns: { label: "label" } },
        first: [{ label: 1 }, { label: 2 }, { label: 0 }, { label: 3 }, { label: 1 }, { label: 1 }],
      },
    ],
    [
      "choices_numeric_text_label_is_index.jsonl",
      {
        said: { taskType: "multiple-choice", choiceLabels: "from-0" },
        first: [{ label: 1 }, { label: 2 }, { label: 0 }, { label: 3 }],
      },
    ],
    [
      "multilabel_python_list_repr.csv",
      {
        said: { taskType: "multi-label", labels: 3 },
        first: [
          { labels: ["car", "repair"] },
          { labels: ["car"] },
          { labels: ["food"] },
          { labels: ["food", "car"] },
        ],
      },
    ],
    [
      "guess_split.csv",
      {
        said: { taskType: "text-classification", columns: { text: "text", label: "intent_name" }, labels: 5 },
        first: [{ label: "car" }, { label: "food" }],
      },
    ],
    [
      "jigsaw.csv",
      {
        said: {
          taskType: "multi-label",
          columns: { text: "comment_text", labels: ["toxic", "severe_toxic", "obscene", "threat", "insult"] },
        },
        first: [
          { labels: ["severe_toxic", "obscene", "threat", "insult"] },
          { labels: ["toxic"] },
          { labels: [] },
        ],
      },
    ],
    [
      "headerless_labels_y_n.csv",
      {
        said: {
          header: false,
          columns: { text: 2, label: 1 },
          labels: 2,
          examples: { train: 8, dev: 0, test: 0 },
        },
        first: [{ text: "I liked the long film a lot", label: "y" }],
      },
    ],
    [
      "header_with_unnamed_trailing_columns.csv",
      {
        said: {
          header: true,
          columns: { text: "v2", label: "v1" },
          labels: 2,
          examples: { train: 20, dev: 0, test: 0 },
        },
        first: [{ text: "win prize number 0 now", label: "spam" }],
      },
    ],
    [
      "header_equals_a_label.csv",
      {
        said: { header: true, columns: { text: "message_body", label: "spam" }, labels: 2 },
        first: [{ text: "a long phrase number 0 here", label: "ham" }],
      },
    ],
    [
      "fasttext_several_labels.txt",
      {
        said: { taskType: "multi-label", labels: 4, format: "lines" },
        first: [
          { text: "how do I cook thing 0 well", labels: ["__label__sauce"] },
          { text: "how do I cook thing 1 well", labels: ["__label__cheese", "__label__bread"] },
        ],
      },
    ],
    ["squad_plain.json", { said: { taskType: "question-answering", format: "squad" }, first: [{}] }],
    [
      "json_array.json",
      {
        said: {
          taskType: "text-classification",
          format: "json",
          columns: { text: "text", label: "label" },
          labels: 2,
        },
        first: [
          { text: "text number 0", label: "b" },
          { text: "text number 1", label: "a" },
        ],
      },
    ],
    [
      "pair_empty_first.csv",
      {
        said: {
          columns: { text: ["premise", "hypothesis"], label: "label" },
          examples: { train: 36, dev: 0, test: 0 },
        },
        first: [
          { text: "a man 1", pair: "", label: "yes" },
          { text: "", pair: "a dog 1", label: "no" },
        ],
      },
    ],
    [
      "tsv_quoted.tsv",
      {
        said: { format: "tsv", labels: 2 },
        first: [{ text: 'He said "hi 0", then left', label: "a" }, { text: "plain 2" }],
      },
    ],
    [
      "semicolon_delimiter.csv",
      { said: { delimiter: ";", labels: 2 }, first: [{ text: "phrase number 0", label: "b" }] },
    ],
  ])("%s", async (name, { said, first }) => {
    const path = join(cases, name);
    const { events, stderr, code } = await checked(path);
    expect(stderr).not.toMatch(/error|defect/);
    expect(events[0]).toMatchObject({ type: "data", path, ...said });
    expect([0, 1]).toContain(code);
    const guess = await guessReading(path);
    const options = { ...guess.options, kind: guess.kind } as ReadOptionsFor<"text">;
    expect((await readExamples(path, options)).examples.slice(0, first.length)).toMatchObject(first);
  });

  test.each<[string, RegExp, string[]?]>([
    [
      "multilabel_multihot_list.csv",
      /multilabel_multihot_list\.csv: line 2: "labels": expected names of labels, got "\[1,0,1\]", a mark for each of 3 labels.*data\.labelNames/s,
    ],
    ["guess_oneclass_label.csv", /expected at least two labels, got only "spam".*column "label"/s],
    [
      "reg_const.csv",
      /reg_const\.csv: expected numbers that differ to learn, got 3 in all 20 training examples.*data\.score/s,
    ],
    [
      "semicolon_delimiter.csv",
      /expected a column of numbers to learn, got none in 12 rows: "text" has "phrase number 0" in line 2, "label" has "b" in line 2/,
      ["--set", "task.type=regression"],
    ],
    ["j_nan.jsonl", /j_nan\.jsonl: line 4: expected a JSON object, got .*where NaN is no JSON value/],
  ])("%s is refused", async (name, message, flags = []) => {
    const { code, events, stderr } = await checked(join(cases, name), ...flags);
    expect(stderr).toMatch(message);
    expect(events.at(-1)).toMatchObject({ type: "error" });
    expect(code).toBe(1);
  });

  test("marks with names are labels", async () => {
    const path = join(cases, "multilabel_multihot_list.csv");
    const { events } = await checked(path, "--set", "data.labelNames=[car, food, repair]");
    expect(events[0]).toMatchObject({ type: "data", taskType: "multi-label", labels: 3 });
  });

  test("a note in words", async () => {
    const env = { PTUNING_CACHE: join(folder, "cache"), HF_HUB_OFFLINE: "1" };
    const { stderr } = await ptuning(["check-data", join(cases, "semicolon_delimiter.csv")], { env });
    expect(stderr).toMatch(
      /^data: .*semicolon_delimiter\.csv: text-classification; CSV separated by semicolons with a header; text from text; label from label; 2 labels; 12 \+ 0 examples \(other columns: --text, --label/m,
    );
  });
});

const rows = 24;
const sentence = (i: number): string => `some words about thing ${i}`;
const table = (header: string, line: (i: number) => string): string =>
  `${header === "" ? "" : `${header}\n`}${Array.from({ length: rows }, (_, i) => line(i)).join("\n")}\n`;
const records = (line: (i: number) => object): object[] => Array.from({ length: rows }, (_, i) => line(i));

describe("tables of the same kinds", () => {
  test.each<[string, string, string, object]>([
    [
      "a part",
      "fold.csv",
      table("sentence,fold,mood", (i) => `${sentence(i)},${i % 2},${"abc"[i % 3]}`),
      { options: { label: "mood" } },
    ],
    [
      "a language",
      "lang.csv",
      table("lang,review,stars_class", (i) => `${i % 2 ? "en" : "de"},${sentence(i)},${i % 5}`),
      { options: { text: "review", label: "stars_class" } },
    ],
    [
      "a language that is learnt",
      "lid.csv",
      table("text,lang", (i) => `${sentence(i)},${i % 2 ? "en" : "de"}`),
      { options: { label: "lang" } },
    ],
    [
      "an address",
      "url.csv",
      table(
        "url,body,kind",
        (i) => `https://example.org/a/very/long/path/to/page/${i},${sentence(i)},${"xy"[i % 2]}`,
      ),
      { options: { text: "body", label: "kind" } },
    ],
    [
      "rows' numbers of pandas",
      "index.csv",
      table(",text,label", (i) => `${i},${sentence(i)},${i % 2}`),
      { options: { text: "text", label: "label" } },
    ],
    [
      "a date",
      "date.csv",
      table("date,headline,topic", (i) => `2024-01-0${1 + (i % 4)},${sentence(i)},${"abcdef"[i % 6]}`),
      { options: { text: "headline", label: "topic" } },
    ],
    [
      "a source beside a constant label",
      "one.csv",
      table("text,label,source", (i) => `${sentence(i)},spam,${i % 2}`),
      { options: { label: "label" }, labels: ["spam"] },
    ],
    [
      "labels that are numbers, without a header",
      "n.csv",
      table("", (i) => `${i % 3},${sentence(i)}`),
      { options: { header: false, text: 2, label: 1 }, rows },
    ],
    [
      "labels behind texts, without a header",
      "b.csv",
      table("", (i) => `${sentence(i)},${i % 2 ? "good" : "bad"}`),
      { options: { header: false, text: 1, label: 2 }, rows },
    ],
    [
      "a name above numbers",
      "u.csv",
      table("phrase,z", (i) => `${sentence(i)},${i % 2}`),
      { options: { header: true, text: "phrase", label: "z" }, rows },
    ],
    [
      "numbers as names, as pandas gives them",
      "p.csv",
      table("0,1", (i) => `${sentence(i)},${i % 2 ? "x" : "y"}`),
      { options: { header: true, text: "0", label: "1" }, rows },
    ],
    [
      "a header that is a label",
      "h.tsv",
      table("utterance_text\tbad", (i) => `${sentence(i)}\t${i % 2 ? "good" : "bad"}`),
      { options: { header: true, text: "utterance_text", label: "bad" }, rows },
    ],
    [
      "labels that are names of columns",
      "d.csv",
      table("", (i) => `${["description", "title", "text"][i % 3]},${sentence(i)}`),
      { options: { header: false, label: 1 }, rows },
    ],
    [
      "a header over a column that is empty",
      "e.csv",
      table("v1,v2,", (i) => `${"ab"[i % 2]},${sentence(i)},`),
      { options: { header: true, text: "v2", label: "v1" } },
    ],
    [
      "a header in another script",
      "z.csv",
      table("内容,标签", (i) => `这是第${i}个关于东西的句子,${i % 2 ? "好" : "坏"}`),
      { options: { header: true, text: "内容", label: "标签" }, rows },
    ],
    [
      "marks of true and false",
      "m.csv",
      table("text,sports,news,art", (i) => `${sentence(i)},${i % 2 === 0},${i % 3 === 0},${i % 5 === 0}`),
      { options: { labels: ["sports", "news", "art"] }, labels: ["sports", "news", "art"] },
    ],
    [
      "a label beside marks",
      "lm.csv",
      table("text,label,has_link,is_long", (i) => `${sentence(i)},${"abc"[i % 3]},${i % 2},${i % 2}`),
      { options: { label: "label" } },
    ],
    [
      "labels with a bar",
      "j.csv",
      table("text,tags", (i) => `${sentence(i)},${["a|b", "b", "a"][i % 3]}`),
      { options: { labels: "tags" } },
    ],
    [
      "lists of Python",
      "l.csv",
      table("text,topics", (i) => `${sentence(i)},"${["['x', 'y']", "('y',)", "[]"][i % 3]}"`),
      { options: { labels: "topics" } },
    ],
    [
      "s1 and s2",
      "s.csv",
      table("s1,s2,same", (i) => `${sentence(i)},${sentence(i + 50)},${i % 2}`),
      { options: { text: ["s1", "s2"], label: "same" } },
    ],
    [
      "left and right",
      "lr.csv",
      table("left,right,y", (i) => `${sentence(i)},${sentence(i + 50)},${i % 2}`),
      { options: { text: ["left", "right"], label: "y" } },
    ],
    [
      "string 1 and string 2",
      "st.tsv",
      table(
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        (i) => `${i % 2}\t${i}\t${i + 9}\t${sentence(i)}\t${sentence(i + 50)}`,
      ),
      { options: { text: ["#1 String", "#2 String"], label: "Quality" } },
    ],
    [
      "question and sentence",
      "qs.tsv",
      table("index\tquestion\tsentence\tlabel", (i) => `${i}\t${sentence(i)}\t${sentence(i + 50)}\t${i % 2}`),
      { options: { text: ["question", "sentence"], label: "label" } },
    ],
    [
      "question1 and question2",
      "qq.csv",
      table(
        "id,qid1,qid2,question1,question2,is_duplicate",
        (i) => `${i},${i},${i + 1},${sentence(i)},${sentence(i + 50)},${i % 2}`,
      ),
      { options: { text: ["question1", "question2"], label: "is_duplicate" } },
    ],
    [
      "query and document",
      "qd.csv",
      table("document,query,relevant", (i) => `${sentence(i)} and more,${sentence(i + 50)},${i % 2}`),
      { options: { text: ["document", "query"], label: "relevant" } },
    ],
    [
      "sentenceA and sentenceB",
      "ab.csv",
      table("sentenceA,sentenceB,judgement", (i) => `${sentence(i)},${sentence(i + 50)},${i % 2}`),
      { options: { text: ["sentenceA", "sentenceB"] } },
    ],
    [
      "a note beside a text",
      "note.csv",
      table("text,notes,label", (i) => `${sentence(i)},seen by someone on day ${i},${i % 2}`),
      { options: { text: "text", label: "label" } },
    ],
    [
      "columns A to D",
      "abcd.csv",
      table(
        "question,A,B,C,D,answer",
        (i) => `${sentence(i)},one ${i},two ${i},three ${i},four ${i},${"ABCD"[i % 4]}`,
      ),
      { kind: "choices", options: { text: "question", choices: ["A", "B", "C", "D"], label: "answer" } },
    ],
    [
      "a confidence beside labels",
      "conf.csv",
      table("text,tone,confidence", (i) => `${sentence(i)},${"abc"[i % 3]},0.${10 + i}`),
      { options: { label: "tone" } },
    ],
    [
      "bars between cells",
      "bar.csv",
      table("text|label", (i) => `${sentence(i)}, indeed|${"ab"[i % 2]}`),
      { delimiter: "|", options: { text: "text", label: "label" } },
    ],
    [
      "tabs in a .csv",
      "tab.csv",
      table("text\tlabel", (i) => `${sentence(i)}\t${"ab"[i % 2]}`),
      { delimiter: "\t", options: { text: "text", label: "label" } },
    ],
    [
      "semicolons and decimal commas",
      "dec.csv",
      table("text;kind", (i) => `"${sentence(i)}; or so";${"ab"[i % 2]}`),
      { delimiter: ";", options: { text: "text", label: "kind" } },
    ],
    [
      "commas in a .tsv",
      "c.tsv",
      table("text,label", (i) => `${sentence(i)},${"ab"[i % 2]}`),
      { delimiter: ",", options: { text: "text", label: "label" } },
    ],
    [
      "labels of fastText behind the text",
      "ft.txt",
      table("", (i) => `${sentence(i)} __label__${"ab"[i % 2]}${i % 3 ? "" : " __label__c"}`),
      { labels: ["__label__a", "__label__b", "__label__c"] },
    ],
    [
      "one label of fastText in each line",
      "ft1.txt",
      table("", (i) => `__label__${"ab"[i % 2]} ${sentence(i)}`),
      {
        options: { labelPattern: "^(?<label>__label__\\S+) (?<text>.*)$" },
        labels: ["__label__a", "__label__b"],
      },
    ],
    [
      "a list in a .yaml",
      "list.yaml",
      JSON.stringify(
        records((i) => ({ text: sentence(i), label: "ab"[i % 2] })),
        null,
        1,
      ),
      { format: "json", options: { label: "label" } },
    ],
    [
      "JSON lines in a .json",
      "lines.json",
      records((i) => ({ text: sentence(i), label: "ab"[i % 2] }))
        .map((one) => JSON.stringify(one))
        .join("\n"),
      { format: "jsonl" },
    ],
    [
      "records under a key",
      "wrapped.json",
      JSON.stringify({ version: "1", data: records((i) => ({ text: sentence(i), label: "ab"[i % 2] })) }),
      { format: "json", rows },
    ],
    [
      "a list in a .csv",
      "list.csv",
      JSON.stringify(records((i) => ({ text: sentence(i), label: "ab"[i % 2] }))),
      { format: "json" },
    ],
  ])("%s", async (_, name, content, expected) => {
    const path = join(folder, name);
    await writeFile(path, content);
    expect(await guessReading(path)).toMatchObject(expected);
  });

  test("rows behind the first thousands count", async () => {
    const path = join(folder, "sorted.csv");
    const lines = Array.from(
      { length: 6000 },
      (_, i) => `${sentence(i)},${i < 3000 ? "neg" : "pos"},${i % 3}`,
    );
    await writeFile(path, `text,tone,source\n${lines.join("\n")}\n`);
    expect(await guessReading(path)).toMatchObject({
      options: { label: "tone" },
      labels: ["neg", "pos"],
      rows: 6000,
    });
    const fast = join(folder, "late.txt");
    const late = lines.map(
      (_, i) => `__label__${"ab"[i % 2]} ${i === 5000 ? "__label__c " : ""}${sentence(i)}`,
    );
    await writeFile(fast, late.join("\n"));
    expect((await guessReading(fast)).labels).toEqual(["__label__a", "__label__b", "__label__c"]);
  });

  test.each<[string, string, RegExp]>([
    [
      "marks beside another column that repeats",
      table("text,tone,a,b", (i) => `${sentence(i)},${"xyz"[i % 3]},${i % 2},${i % 2}`),
      /expected to know what is learnt, got several columns that look like it: tone, a, b/,
    ],
    [
      "nothing but a part",
      table("text,split", (i) => `${sentence(i)},${i % 2 ? "train" : "test"}`),
      /expected labelled examples, got text without anything to predict/,
    ],
  ])("%s is refused", async (_, content, message) => {
    const path = join(folder, "refused.csv");
    await writeFile(path, content);
    const { stderr, code } = await checked(path);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });
});

describe("quotes of tab-separated files", () => {
  const read = async (content: string): Promise<string[]> => {
    const path = join(folder, "quotes.tsv");
    await writeFile(path, content);
    return (await readExamples(path, { text: "text", label: "label" })).examples.map(({ text }) => text);
  };

  // As pandas.read_csv(path, sep="\t") reads them.
  test.each<[string, string, string[]]>([
    ["doubled inside", 'text\tlabel\n"a ""b"" c"\tx\nplain\ty\n', ['a "b" c', "plain"]],
    ["around tabs and line ends", 'text\tlabel\n"a\tb"\tx\n"two\nlines"\ty\n', ["a\tb", "two\nlines"]],
    ["around all cells", '"text"\t"label"\n"a"\t"x"\n"b"\t"y"\n', ["a", "b"]],
    ["beside bare ones inside", 'text\tlabel\n"a ""b"""\tx\n5" pipe\ty\n', ['a "b"', '5" pipe']],
  ])("%s", async (_, content, expected) => {
    expect(await read(content)).toEqual(expected);
  });

  test.each<[string, string, string[]]>([
    [
      "a cell that only begins with one",
      'text\tlabel\n"Go," he said.\tx\n"Stay."\ty\n',
      ['"Go," he said.', '"Stay."'],
    ],
    ["an opening one alone", 'text\tlabel\n" a stray one\tx\nplain\ty\n', ['" a stray one', "plain"]],
    ["one that would swallow rows", 'text\tlabel\n"a\tx\nb"\ty\n', ['"a', 'b"']],
    ["bare ones inside", 'text\tlabel\nthe "best" one\tx\nb\ty\n', ['the "best" one', "b"]],
  ])("are characters: %s", async (_, content, expected) => {
    expect(await read(content)).toEqual(expected);
  });
});

describe("configurations are told from data", () => {
  test.each([
    ["c.json", (train: string) => JSON.stringify({ data: { train }, training: { epochs: 1 } })],
    ["c.txt", (train: string) => `data:\n  train: ${JSON.stringify(train)}\n`],
    ["c", (train: string) => `# a run\ndata:\n  train: ${JSON.stringify(train)}\n`],
    ["c.yml", (train: string) => `data: {train: ${JSON.stringify(train)}}\n`],
  ])("%s", async (name, content) => {
    const train = join(folder, "train.csv");
    await writeFile(
      train,
      table("text,label", (i) => `${sentence(i)},${i % 2}`),
    );
    await writeFile(join(folder, name), content(train));
    const { events } = await checked(join(folder, name));
    expect(events[0]).toMatchObject({ type: "data", path: train, labels: 2 });
  });

  test.each<[string, string, RegExp]>([
    ["typo.json", '{"dta": {"train": "x.csv"}}', /typo\.json:1: dta: unknown key\. Did you mean "data"\?/],
    [
      "columns.json",
      JSON.stringify({ text: { 0: "a", 1: "b" }, label: { 0: "x", 1: "y" } }),
      /columns\.json: line 1: expected a JSON list of objects.*orient="records"/s,
    ],
    [
      "long.json",
      JSON.stringify({ training: { epochs: "x".repeat(5000) } }),
      /epochs: expected a whole number above 0, got "x{1,79}…/,
    ],
  ])("%s is refused in few words", async (name, content, message) => {
    await writeFile(join(folder, name), content);
    const { stderr, code } = await checked(join(folder, name));
    expect(stderr).toMatch(message);
    expect(stderr.length).toBeLessThan(1500);
    expect(code).toBe(1);
  });
});

test("inspect counts all rows and labels, of columns of tags too", async () => {
  const sorted = join(folder, "many.csv");
  const lines = Array.from({ length: 3000 }, (_, i) => `${sentence(i)},class ${Math.floor(i / 100)}`);
  await writeFile(sorted, `text,label\n${lines.join("\n")}\n`);
  const conll = join(folder, "tags.conll");
  await writeFile(conll, "EU B-ORG\nsays O\n\nAnn B-PER\n\n".repeat(700));
  const facts = async (path: string): Promise<unknown> =>
    JSON.parse((await ptuning(["inspect", path, "--json"])).stdout);
  expect(await facts(sorted)).toMatchObject({ rows: 3000, labelCount: 30 });
  expect(await facts(conll)).toMatchObject({ rows: 1400, labelCount: 2, labels: ["ORG", "PER"] });
});

test("an example in the wrong kind of list is named by its line", async () => {
  const lines = (await readFile(join(cases, "multilabel_python_list_repr.csv"), "utf8")).split("\n");
  lines[4] = "diner by the road 3,['food' 'car']";
  const path = join(folder, "numpy.csv");
  await writeFile(path, lines.join("\n"));
  const options = { kind: "text" as ExampleKind, text: "text", labels: "labels" };
  await expect(readExamples(path, options)).rejects.toThrow(/line 5: "labels": .* as NumPy prints arrays/);
});
