/** Columns that could be read in several ways are read in one, for the whole file, or refused. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ExampleKind, type ReadOptions, readDataset, readExamples } from "ptuning/data";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-columns-"));
});
afterAll(() => rm(folder, { recursive: true }));

const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`;

/** A CSV file of a header and rows. */
async function csv(header: readonly string[], rows: readonly (readonly string[])[]): Promise<string> {
  const path = join(folder, `${Math.random().toString(36).slice(2)}.csv`);
  await writeFile(path, `${[header, ...rows].map((row) => row.map(quoted).join(",")).join("\n")}\n`);
  return path;
}

async function jsonl(rows: readonly object[]): Promise<string> {
  const path = join(folder, `${Math.random().toString(36).slice(2)}.jsonl`);
  await writeFile(path, rows.map((row) => JSON.stringify(row)).join("\n"));
  return path;
}

describe("labels of choices", () => {
  const columns = { kind: "choices", text: "q", choices: ["c1", "c2", "c3"], label: "label" } as const;
  const read = async (
    rows: readonly (readonly string[])[],
    header = ["q", "c1", "c2", "c3", "label"],
    options: ReadOptions = columns,
  ): Promise<(number | undefined)[]> => {
    const path = await csv(header, rows);
    return (await readExamples<"choices">(path, { ...options, kind: "choices" })).examples.map(
      ({ label }) => label,
    );
  };

  test.each<[string, string[][], number[]]>([
    [
      "numbers from 0 beside choices that are numbers",
      [
        ["a", "1", "2", "3", "1"],
        ["b", "7", "8", "9", "0"],
      ],
      [1, 0],
    ],
    [
      "numbers from 1",
      [
        ["a", "x", "y", "z", "1"],
        ["b", "x", "y", "z", "3"],
      ],
      [0, 2],
    ],
    [
      "numbers from 1 beside choices that are numbers",
      [
        ["a", "2", "3", "1", "1"],
        ["b", "7", "8", "9", "3"],
      ],
      [0, 2],
    ],
    [
      "texts that are numbers",
      [
        ["a", "1", "2", "3", "3"],
        ["b", "10", "20", "30", "20"],
      ],
      [2, 1],
    ],
    [
      "letters, also where a choice is one",
      [
        ["a", "B", "C", "A", "A"],
        ["b", "x", "y", "z", "c"],
      ],
      [0, 2],
    ],
    [
      "numbers as pandas writes a column with gaps",
      [
        ["a", "x", "y", "z", "0.0"],
        ["b", "x", "y", "z", "2.0"],
      ],
      [0, 2],
    ],
    [
      "readings that agree",
      [
        ["a", "0", "1", "2", "2"],
        ["b", "0", "1", "2", "0"],
      ],
      [2, 0],
    ],
  ])("%s", async (_, rows, expected) => {
    expect(await read(rows)).toEqual(expected);
  });

  test("names of columns, also where the text of another choice is one", async () => {
    const rows = [
      ["a", "B", "x", "y", "A"],
      ["b", "x", "y", "B", "B"],
      ["c", "p", "q", "r", "C"],
    ];
    const header = ["q", "A", "B", "C", "label"];
    const options = { ...columns, choices: ["A", "B", "C"] };
    expect(await read(rows, header, options)).toEqual([0, 1, 2]);
  });

  test("two readings of all rows that differ are refused, and the key decides", async () => {
    const rows = [
      ["a", "x", "y", "z", "1"],
      ["b", "x", "y", "z", "2"],
    ];
    await expect(read(rows)).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringMatching(
        /line 2: "label": expected labels that can be read in one way, got "1", which is a number from 0 to 2 and a number from 1 to 3, as in all 2 rows/,
      ),
      hint: "Say which it is: data.choiceLabels: from-0 or from-1.",
    });
    const header = ["q", "c1", "c2", "c3", "label"];
    expect(await read(rows, header, { ...columns, choiceLabels: "from-1" })).toEqual([0, 1]);
    const texts = [
      ["a", "2", "1", "0", "1"],
      ["b", "1", "0", "2", "0"],
    ];
    await expect(read(texts)).rejects.toThrow(
      /line 3: .* got "0", which is a number from 0 to 2 and the text of a choice/,
    );
    expect(await read(texts, header, { ...columns, choiceLabels: "texts" })).toEqual([1, 1]);
  });

  test("a row that fits no more than another reading is named", async () => {
    const rows = [
      ["a", "x", "y", "z", "0"],
      ["b", "x", "y", "z", "2"],
      ["c", "x", "y", "z", "y"],
    ];
    await expect(read(rows)).rejects.toMatchObject({
      message: expect.stringMatching(
        /line 4: "label": expected a number from 0 to 2, as in 2 of 3 rows, got "y"/,
      ),
      hint: expect.stringContaining("data.choiceLabels: from-0 or"),
    });
    const header = ["q", "c1", "c2", "c3", "label"];
    expect(await read(rows, header, { ...columns, damaged: "skip" })).toEqual([0, 2]);
  });

  test("what train decides holds for dev", async () => {
    const header = ["q", "c1", "c2", "c3", "label"];
    const train = await csv(header, [
      ["a", "x", "y", "z", "1"],
      ["b", "x", "y", "z", "3"],
    ]);
    const dev = await csv(header, [["c", "x", "y", "z", "2"]]);
    const data = await readDataset<"choices">(train, { ...columns, choices: ["c1", "c2", "c3"], dev });
    expect(data.dev[0]!.label).toBe(1);
    expect(data.table).toMatchObject({ choiceLabels: "from-1" });
  });

  test("lists of choices as Python writes them", async () => {
    const options = { kind: "choices", text: "q", choices: "options", label: "answer" } as const;
    const rows = [
      ["a", `["it's", 'no']`, "no"],
      ["b", "('x', 'y')", "x"],
    ];
    expect(await read(rows, ["q", "options", "answer"], options)).toEqual([1, 0]);
  });
});

describe("cells with lists", () => {
  const labels = async (cells: readonly string[], options: ReadOptions = {}): Promise<unknown> => {
    const path = await csv(
      ["text", "labels"],
      cells.map((cell, i) => [`text ${i}`, cell]),
    );
    const read = await readExamples<"text">(path, {
      ...options,
      kind: "text",
      text: "text",
      labels: "labels",
    });
    return read.examples.map((example) => example.labels);
  };

  // Right values by Python's ast.literal_eval.
  test.each<[string, string[]]>([
    ["['car', 'repair']", ["car", "repair"]],
    ['["it\'s", \'say "hi"\']', ["it's", 'say "hi"']],
    ["('a', \"b\")", ["a", "b"]],
    ["('one',)", ["one"]],
    ["['caf\\xe9', 'na\\u00efve', '\\U0001f600']", ["café", "naïve", "😀"]],
    ["['tab\\there', 'line\\nend', 'back\\\\slash', '\\'']", ["tab\there", "line\nend", "back\\slash", "'"]],
    ["[r'\\d+', u'x', b'y']", ["\\d+", "x", "y"]],
    ["['''a'b''', \"c\"]", ["a'b", "c"]],
    ["[1, -2, 0x10, 1_000]", ["1", "-2", "16", "1000"]],
    ["[True, 'False']", ["true", "False"]],
    ["[ 'a' , 'b' , ]", ["a", "b"]],
    ["['\\101', '\\q']", ["A", "\\q"]],
    ["{'a', 'b'}", ["a", "b"]],
    ["array(['a', 'b'], dtype=object)", ["a", "b"]],
    ['["json", "too"]', ["json", "too"]],
    ["[]", []],
  ])("%s", async (cell, expected) => {
    expect(await labels([cell, "['other']"])).toEqual([expected, ["other"]]);
  });

  test.each<[string, RegExp]>([
    ["['a' 'b']", /line 3: "labels": .* which has no comma behind "a", as NumPy prints arrays/],
    ["[1 0 1]", /line 3: .* has no comma behind 1, as NumPy prints arrays/],
    ["[car, repair]", /line 3: .* has car without quotes/],
    ["['a', 'b'", /line 3: .* has no bracket at its end/],
    ["['a', 'b]", /line 3: .* has a quote that is opened and never closed/],
    ["['a', ..., 'z']", /line 3: .* where none belongs/],
    ["['a', None]", /line 3: .*expected a list of texts/],
    ["[['a']]", /line 3: .*expected a list of texts/],
    ["{'a': 1}", /line 3: .* is a dictionary/],
    ["repair", /line 3: "labels": expected a list, as line 2 has it, got "repair"/],
  ])("%s among lists is refused", async (cell, message) => {
    await expect(labels(["['x']", cell, "['y']"])).rejects.toThrow(message);
  });

  test("a list among joined labels is refused, and the key takes all as they stand", async () => {
    await expect(labels(["a,b", "['a']", "b"])).rejects.toMatchObject({
      message: expect.stringMatching(
        /line 3: "labels": expected items with a separator, as line 2 has them, got "\['a'\]"/,
      ),
      hint: expect.stringContaining("data.listCells"),
    });
    expect(await labels(["a,b", "[nsfw]", "b"], { listCells: "joined" })).toEqual([
      ["a", "b"],
      ["[nsfw]"],
      ["b"],
    ]);
  });

  test.each<[string, string[]]>([
    ["JSON", ["[1, 0, 1]", "[0, 1, 0]"]],
    ["Python's truth values", ["[True, False]", "[False, False]"]],
    ["numbers with a point", ["[1.0, 0.0]", "[0.0, 0.0]"]],
    ["blanks", ["1 0 1", "0 1 0"]],
    ["commas", ["1,0,1", "0,1,0"]],
  ])("marks for labels in %s want names", async (_, cells) => {
    await expect(labels(cells)).rejects.toMatchObject({
      message: expect.stringMatching(
        /line 2: "labels": expected names of labels, got .*, a mark for each of [23] labels, as in all 2 rows/,
      ),
      hint: expect.stringContaining("data.labelNames"),
    });
    const names = ["x", "y", "z"].slice(
      0,
      cells[0]!.match(/[01]\b|True|False/g)!.length > 2 && !cells[0]!.includes(".") ? 3 : 2,
    );
    expect(await labels(cells, { labelNames: names })).toEqual([
      names.filter((_, i) => i !== 1),
      names.length === 3 ? ["y"] : [],
    ]);
  });

  test("numbers of labels are no marks", async () => {
    expect(await labels(["[0]", "[0, 1]", "[2, 0]"])).toEqual([["0"], ["0", "1"], ["2", "0"]]);
  });

  test("names are wanted for each mark", async () => {
    await expect(labels(["[1, 0, 1]"], { labelNames: ["x", "y"] })).rejects.toThrow(
      /line 2: .*0 or 1 for each of 2 labels/,
    );
    await expect(labels(["[1, 2]"], { labelNames: ["x", "y"] })).rejects.toThrow(
      /line 2: .*0 or 1 for each label/,
    );
  });

  test("columns of marks", async () => {
    const path = await csv(
      ["text", "toxic", "threat"],
      [
        ["a", "1", "0"],
        ["b", "True", "1.0"],
        ["c", "0", "false"],
      ],
    );
    const read = await readExamples(path, { text: "text", labels: ["toxic", "threat"] });
    expect(read.examples.map((example) => example.labels)).toEqual([["toxic"], ["toxic", "threat"], []]);
    const odd = await csv(
      ["text", "toxic", "threat"],
      [
        ["a", "1", "0"],
        ["b", "-1", "0"],
      ],
    );
    await expect(readExamples(odd, { text: "text", labels: ["toxic", "threat"] })).rejects.toThrow(
      /line 3: "toxic": expected 0 or 1, got "-1"/,
    );
  });

  test.each<[string, string[], string[][]]>([
    ["a semicolon", ["a; b", "b", "c;a"], [["a", "b"], ["b"], ["c", "a"]]],
    ["a bar", ["a|b", "b|c", "a"], [["a", "b"], ["b", "c"], ["a"]]],
    ["no separator but a label with a bar", ["AC|DC", "rock"], [["AC|DC"], ["rock"]]],
  ])("labels joined by %s", async (_, cells, expected) => {
    expect(await labels(cells)).toEqual(expected);
  });

  test("two separators are refused", async () => {
    await expect(labels(["a,b", "a|c"])).rejects.toMatchObject({
      message: expect.stringMatching(
        /line 3: "labels": expected labels with one separator, got "a\|c", where , separates labels in line 2/,
      ),
    });
    expect(await labels(["Arts, Crafts|Food", "Food"], { labelSeparator: "|" })).toEqual([
      ["Arts, Crafts", "Food"],
      ["Food"],
    ]);
  });

  test("words and tags as Python lists, and sentences in brackets as words", async () => {
    const lists = await csv(["tokens", "tags"], [["['(', 'AP', ')', \"it's\"]", "['O', 'B-ORG', 'O', 'O']"]]);
    const [first] = (await readExamples<"tokens">(lists, { kind: "tokens" })).examples;
    expect(first).toMatchObject({ words: ["(", "AP", ")", "it's"], tags: ["O", "B-ORG", "O", "O"] });
    const joined = await csv(
      ["tokens", "tags"],
      [
        ["( AP )", "O B-ORG O"],
        ["a b", "O O"],
        ["[1]", "O"],
      ],
    );
    expect(
      (await readExamples<"tokens">(joined, { kind: "tokens" })).examples.map(({ words }) => words),
    ).toEqual([["(", "AP", ")"], ["a", "b"], ["[1]"]]);
    const numpy = await csv(["tokens", "tags"], [["['a' 'b']", "['O' 'O']"]]);
    await expect(readExamples(numpy, { kind: "tokens" as ExampleKind })).rejects.toThrow(
      /line 2: "tokens": .*as NumPy prints/,
    );
  });

  test("answers as Python writes them", async () => {
    const path = await csv(
      ["id", "question", "context", "answers"],
      [
        ["1", "who?", "It's Ann.", `{'text': ["It's Ann"], 'answer_start': [0]}`],
        [
          "2",
          "who?",
          "Bob it is.",
          "{'text': array(['Bob'], dtype=object), 'answer_start': array([0], dtype=int32)}",
        ],
        ["3", "who?", "No one.", "{'text': [], 'answer_start': []}"],
      ],
    );
    expect(
      (await readExamples<"answers">(path, { kind: "answers" })).examples.map(({ answers }) => answers),
    ).toEqual([[{ text: "It's Ann", start: 0 }], [{ text: "Bob", start: 0 }], []]);
    const broken = await csv(
      ["id", "question", "context", "answers"],
      [["1", "who?", "a b", "{'text': ['a' 'b']}"]],
    );
    await expect(readExamples(broken, { kind: "answers" as ExampleKind })).rejects.toThrow(
      /line 2: expected answers .* got "\{'text': \['a' 'b'\]\}", which has no comma/,
    );
  });
});

describe("labels", () => {
  const table = { text: "text", label: "label" } as const;
  test.each([
    [
      ["1", "0", "1.0"],
      /line 4: "label": .* got "1.0" beside "1" of line 2: one label as values, two as texts/,
    ],
    [["01", "2", "1"], /line 4: .* got "1" beside "01" of line 2/],
    [["True", "False", "true"], /line 4: .* got "true" beside "True" of line 2/],
  ])("%s are refused", async (labels, message) => {
    const path = await csv(
      ["text", "label"],
      labels.map((label, i) => [`t ${i}`, label]),
    );
    await expect(readExamples(path, table)).rejects.toThrow(message);
    const kept = await readExamples(path, { ...table, labelPattern: "(?<label>.*)" });
    expect(kept.examples.map(({ label }) => label)).toEqual(labels);
  });

  test("one label as number and text in JSON is one label, and said", async () => {
    const path = await jsonl([
      { text: "a", label: 1 },
      { text: "b", label: "1" },
      { text: "c", label: "x" },
    ]);
    const read = await readExamples(path, table);
    expect(read.examples.map(({ label }) => label)).toEqual(["1", "1", "x"]);
    expect(read.warnings).toEqual([
      `${path}: 1 labels that are numbers or truth values were read as the texts of the same spelling.`,
    ]);
  });

  test("a pair with one empty text stays", async () => {
    const path = await csv(
      ["a", "b", "label"],
      [
        ["x", "", "1"],
        ["", "y", "0"],
        ["", " ", "1"],
      ],
    );
    const read = await readExamples(path, { text: ["a", "b"], label: "label" });
    expect(read.examples.map(({ text, pair }) => [text, pair])).toEqual([
      ["x", ""],
      ["", "y"],
    ]);
    expect(read.warnings).toEqual([`${path}: 1 rows with an empty text were left out.`]);
  });
});
