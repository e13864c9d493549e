/**
 * Annotated files as tools and people write them: which words a file marks is decided by the file as a whole, or refused.
 * Right values are the marked texts themselves; offsets of the files made here are counted as the tools count them.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeTags, type ReadOptions, readDataset, readExamples, type TokenExample } from "ptuning/data";
import { PtuningError } from "ptuning/internal/core";
import { afterAll, describe, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { tinyFolder } from "../support/tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-cases-"));
afterAll(() => rmSync(folder, { recursive: true }));

const fixture = (name: string): string => new URL(name, import.meta.url).pathname;
let files = 0;
function file(content: string, name: string): string {
  const path = join(folder, `${files++}-${name}`);
  writeFileSync(path, content);
  return path;
}
const jsonLines = (...rows: unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** The marked stretches of one example: `LABEL text`. */
function marked({ words, tags = [], text, offsets }: TokenExample): string[] {
  return decodeTags(tags).map(({ type, start, end }) => {
    const stretch =
      text === undefined || offsets === undefined
        ? words.slice(start, end).join(" ")
        : text.slice(offsets[start]![0], offsets[end - 1]![1]);
    return `${type} ${stretch}`;
  });
}

type Options = Omit<ReadOptions, "kind">;

async function read(path: string, options: Options = {}): Promise<string[][]> {
  const { examples } = await readExamples<"tokens">(path, { kind: "tokens", ...options });
  for (const { words, text, offsets } of examples) {
    if (offsets !== undefined) expect(offsets.map(([start, end]) => text!.slice(start, end))).toEqual(words);
  }
  return examples.map(marked);
}

async function refusal(path: string, options: Options & { readonly kind?: "text" } = {}): Promise<string> {
  try {
    await readExamples<"tokens" | "text">(path, { kind: "tokens", ...options });
  } catch (error) {
    expect(error).toBeInstanceOf(PtuningError);
    return `${(error as PtuningError).message.replaceAll(path, "FILE")} ${(error as PtuningError).hint ?? ""}`;
  }
  throw new Error("expected a refusal");
}

const counts = {
  "utf-16": (text: string): number => text.length,
  codepoints: (text: string): number => Array.from(text).length,
  graphemes: (text: string): number => [...new Intl.Segmenter("en").segment(text)].length,
};
type Count = (text: string) => number;
const withoutCr: Count = (text) => text.replaceAll("\r", "").length;

/** `[start, end]` of a part of a text, as a tool counts. */
function at(text: string, part: string, count: Count, from = 0): [number, number] {
  const start = text.indexOf(part, from);
  return [count(text.slice(0, start)), count(text.slice(0, start + part.length))];
}

describe("what offsets count", () => {
  test.each([
    ["doccano_utf16_offsets_zh_silent.jsonl", ["ORG 北京大学"]],
    ["doccano_utf16_offsets_en_refused.jsonl", ["LOC Rome"]],
  ])("%s", async (name, expected) => {
    expect(await read(fixture(name))).toEqual(Array.from({ length: 8 }, () => expected));
  });

  const texts: readonly (readonly [string, string])[] = [
    ["😀😀 we went to X Rome Y", "Rome"],
    ["我👍在上海交通大学读书", "上海交通大学"],
    ["👨‍👩‍👧 family 🇩🇪 in Berlin", "Berlin"],
    ["cafe\u0301 😀 in Lyon today", "Lyon"],
    ["नमस्ते 😀 from Delhi now", "Delhi"],
  ];
  for (const [unit, count] of Object.entries(counts)) {
    test(`doccano in ${unit}`, async () => {
      const rows = texts.map(([text, part]) => ({ text, label: [[...at(text, part, count), "LOC"]] }));
      const path = file(jsonLines(...rows), "d.jsonl");
      const expected = texts.map(([, part]) => [`LOC ${part}`]);
      expect(await read(path)).toEqual(expected);
      expect(await read(path, { offsets: unit as keyof typeof counts })).toEqual(expected);
      const wrong = unit === "codepoints" ? "graphemes" : "codepoints";
      const message = await refusal(path, { offsets: wrong });
      expect(message).toMatch(/^FILE: line \d: expected/);
      expect(message).toContain("data.offsets");
      expect(message).not.toContain("snap");
    });

    test(`entities, spans and Prodigy in ${unit}`, async () => {
      const rows = (key: string, more: object): string =>
        jsonLines(
          ...texts.map(([text, part]) => {
            const [start, end] = at(text, part, count);
            return {
              text,
              [key]: [{ start, end, start_offset: start, end_offset: end, label: "LOC" }],
              ...more,
            };
          }),
        );
      const expected = texts.map(([, part]) => [`LOC ${part}`]);
      expect(await read(file(rows("entities", {}), "e.jsonl"))).toEqual(expected);
      expect(await read(file(rows("spans", {}), "s.jsonl"))).toEqual(expected);
      expect(await read(file(rows("spans", { answer: "accept", _task_hash: 1 }), "p.jsonl"))).toEqual(
        expected,
      );
    });

    test(`Label Studio in ${unit}`, async () => {
      const tasks = texts.map(([text, part], id) => {
        const [start, end] = at(text, part, count);
        return studio(id, { text }, [{ start, end, text: part, labels: ["LOC"] }]);
      });
      const expected = texts.map(([, part]) => [`LOC ${part}`]);
      expect(await read(file(JSON.stringify(tasks), "ls.json"))).toEqual(expected);
    });
  }

  test("a text that several readings explain is refused, and the key decides", async () => {
    const path = file(jsonLines({ text: "😀 我 你 他 她", label: [[3, 4, "X"]] }), "d.jsonl");
    expect(await read(path)).toEqual([["X 我"]]);
    const open = file(jsonLines({ text: "😀我你他她", label: [[2, 3, "X"]] }), "d.jsonl");
    expect(await refusal(open)).toMatch(
      /^FILE: line 1: expected offsets that can be read in one way, got "我" in UTF-16 units and "你" in code points.*data\.offsets/,
    );
    expect(await read(open, { offsets: "utf-16" })).toEqual([["X 我"]]);
    expect(await read(open, { offsets: "codepoints" })).toEqual([["X 你"]]);
  });

  test("tokens of the file are evidence, and contradictions refused", async () => {
    const text = "😀我在北京大学读书";
    const tokens = Array.from(text, (char, id) => ({ text: char, id, start: id, end: id + 1 }));
    const row = (spans: object[]): string =>
      file(jsonLines({ text, tokens, spans, answer: "accept" }), "p.jsonl");
    const span = { start: 3, end: 7, label: "ORG", token_start: 3, token_end: 6 };
    expect(await read(row([span]))).toEqual([["ORG 北京大学"]]);
    expect(await refusal(row([{ ...span, start: 4 }]))).toContain("agrees with its tokens, start 3, got 4");
    expect(await refusal(row([{ ...span, length: 3 }]))).toContain("expected a span of 3 characters");
  });

  test("the text of a span is evidence in every format", async () => {
    const text = "我👍在上海交通大学读书";
    const [start, end] = at(text, "上海交通大学", counts.codepoints);
    const span = { start, end, label: "ORG", text: "上海交通大学" };
    expect(await read(file(jsonLines({ text, spans: [span] }), "s.jsonl"))).toEqual([["ORG 上海交通大学"]]);
    expect(
      await refusal(file(jsonLines({ text, spans: [{ ...span, text: "南京大学" }] }), "s.jsonl")),
    ).toMatch(/line 1: expected "南京大学" at 3 to 9, as the file says, got "在上海交通大".*data\.offsets/);
  });

  test("a few slips do not outvote a file", async () => {
    const rows = Array.from({ length: 20 }, (_, i) => {
      const text = `😀 person ${i} lives in Rome`;
      return { text, label: [[...at(text, i === 7 ? "om" : "Rome", counts.codepoints), "LOC"]] };
    });
    expect(await refusal(file(jsonLines(...rows), "d.jsonl"))).toMatch(/line 8: .*got "om" in "Rome"/);
    const { examples } = await readExamples<"tokens">(file(jsonLines(...rows), "d.jsonl"), {
      kind: "tokens",
      damaged: "skip",
    });
    expect(examples.map(marked)).toEqual(Array.from({ length: 19 }, () => ["LOC Rome"]));
  });

  test("line ends that were one character", async () => {
    const rows = ["one\r\ntwo\r\nAnn met Bob", "a\r\nAnn", "\r\n\r\nhi Ann"].map((text) => ({
      text,
      label: [[...at(text, "Ann", withoutCr), "PER"]],
    }));
    expect(await read(file(jsonLines(...rows), "d.jsonl"))).toEqual([["PER Ann"], ["PER Ann"], ["PER Ann"]]);
  });
});

const studio = (id: number, data: object, values: object[], more: object = {}): object => ({
  id,
  data,
  annotations: [
    {
      was_cancelled: false,
      result: values.map((value) => ({ from_name: "label", to_name: "text", type: "labels", value })),
      ...more,
    },
  ],
});

describe("Label Studio", () => {
  test.each([
    ["labelstudio_other_field_is_longer.json", 8, ["PER Ann", "PER Bob"]],
    ["labelstudio_crlf_offsets_silent.json", 8, ["PER D"]],
    ["labelstudio_partly_annotated.json", 20, ["PER Ann"]],
    ["labelstudio_region_with_empty_labels.json", 8, ["PER Bob"]],
  ])("%s", async (name, count, expected) => {
    expect(await read(fixture(name))).toEqual(Array.from({ length: count }, () => expected));
  });

  test("what is left out is counted", async () => {
    const partly = fixture("labelstudio_partly_annotated.json");
    expect((await readExamples(partly, { kind: "tokens" })).warnings).toEqual([
      `${partly}: 4 tasks without an annotation were left out.`,
    ]);
    const open = await readExamples<"tokens">(partly, { kind: "tokens", gold: false });
    expect(open.examples.map(({ tags }) => tags)).toEqual(new Array(24).fill(undefined));
    const empty = fixture("labelstudio_region_with_empty_labels.json");
    expect((await readExamples(empty, { kind: "tokens" })).warnings).toEqual([
      `${empty}: 8 regions without a label were left out.`,
    ]);
  });

  test("cancelled, skipped, predicted and unlabelled", async () => {
    const region = { start: 0, end: 3, text: "Ann", labels: ["PER"] };
    const tasks = [
      studio(1, { text: "Ann ran" }, [region]),
      studio(2, { text: "Ann ran" }, [region], { was_cancelled: true }),
      { id: 3, data: { text: "Ann ran" }, predictions: [{ result: [{ type: "labels", value: region }] }] },
      studio(4, { text: "Ann ran" }, []),
      studio(5, { text: "Ann ran" }, [{ start: 0, end: 3, text: "Ann" }]),
    ];
    const path = file(JSON.stringify(tasks), "ls.json");
    expect(await read(path)).toEqual([["PER Ann"], [], []]);
    expect((await readExamples(path, { kind: "tokens" })).warnings).toEqual([
      `${path}: 2 tasks without an annotation were left out.`,
      `${path}: 1 regions without a label were left out.`,
    ]);
  });

  test("several annotators: the one that is marked as true, else the first", async () => {
    const region = (label: string): object => ({ start: 0, end: 3, text: "Ann", labels: [label] });
    const both = (more: object): object => {
      const [a, b] = [studio(1, { text: "Ann ran" }, [region("A")]), studio(1, {}, [region("B")], more)] as {
        annotations: object[];
      }[];
      return { ...a, annotations: [...a!.annotations, ...b!.annotations] };
    };
    const path = file(JSON.stringify([both({}), both({ ground_truth: true })]), "ls.json");
    expect(await read(path)).toEqual([["A Ann"], ["B Ann"]]);
    expect((await readExamples(path, { kind: "tokens" })).warnings).toEqual([
      `${path}: 1 tasks with several annotations: the first was taken.`,
    ]);
  });

  test("the field is the one that holds the regions, also in JSON-MIN and for two fields at once", async () => {
    const data = {
      headline: "A very long headline that says nothing",
      author: "Ann",
      lead: "Bob ran to Ann",
    };
    const region = { ...{ start: 11, end: 14 }, text: "Ann", labels: ["PER"] };
    expect(await read(file(JSON.stringify([studio(1, data, [region])]), "ls.json"))).toEqual([["PER Ann"]]);
    expect(await read(file(JSON.stringify([{ ...data, id: 1, label: [region] }]), "min.json"))).toEqual([
      ["PER Ann"],
    ]);
    const task = studio(1, data, [region]) as { annotations: { result: object[] }[] };
    const head = { ...{ start: 7, end: 11 }, text: "long", labels: ["ADJ"] };
    task.annotations[0]!.result.push({ from_name: "l", to_name: "title", type: "labels", value: head });
    expect(await read(file(JSON.stringify([task]), "ls.json"))).toEqual([["PER Ann"], ["ADJ long"]]);
  });

  test("line ends that the browser changed, in either direction", async () => {
    const mixed = "a\r\nb\nc\r\nAnn met Bob";
    for (const [text, count] of [
      [mixed, withoutCr],
      ["x\n\ny\nAnn met Bob", (head: string) => head.replaceAll("\n", "\r\n").length],
      ["x\ry\r\rAnn met Bob", (head: string) => head.replaceAll("\r", "").length],
    ] as const) {
      const [start, end] = at(text, "Bob", count);
      const path = file(
        JSON.stringify([studio(1, { text }, [{ start, end, text: "Bob", labels: ["PER"] }])]),
        "ls.json",
      );
      expect(await read(path)).toEqual([["PER Bob"]]);
    }
  });

  test("a text that stands nowhere near is refused with the task, both texts and the offsets", async () => {
    // The browser collapsed the blanks.
    const tasks = [1, 2].map((id) =>
      studio(40 + id, { text: "Ann   met    Bob" }, [{ start: 8, end: 11, text: "Bob", labels: ["PER"] }]),
    );
    const path = file(JSON.stringify(tasks, null, 1), "ls.json");
    expect(await refusal(path)).toMatch(
      /^FILE: line 2: task 41: expected "Bob" at 8 to 11, as the file says, got "t {2}"/,
    );
  });

  test("choices are labels of texts", async () => {
    const { examples } = await readExamples(fixture("labelstudio_choices.json"));
    expect(examples.slice(0, 2)).toMatchObject([
      { text: "bad thing 0", label: "Negative" },
      { text: "nice thing 1", label: "Positive" },
    ]);
    const choose = (id: number, name: string, ...choices: string[]): object => ({
      id,
      data: { text: `text ${id}` },
      annotations: [{ result: [{ from_name: name, to_name: "text", type: "choices", value: { choices } }] }],
    });
    const several = file(
      JSON.stringify([choose(1, "t", "a", "b"), choose(2, "t", "a"), { id: 3, data: { text: "x" } }]),
      "c.json",
    );
    expect((await readExamples(several)).examples.map(({ labels }) => labels)).toEqual([["a", "b"], ["a"]]);
    const two = file(JSON.stringify([choose(1, "mood", "a"), choose(2, "topic", "b")]), "c.json");
    expect(await refusal(two, { kind: "text" })).toMatch(
      /one control with choices, got mood, topic.*data\.label: mood/,
    );
    expect((await readExamples(two, { label: "topic" })).examples.map(({ label }) => label)).toEqual(["b"]);
    const min = file(
      JSON.stringify([
        { id: 1, text: "x", t: { choices: ["a", "b"] } },
        { id: 2, text: "y", t: { choices: ["a"] } },
      ]),
      "m.json",
    );
    expect((await readExamples(min)).examples.map(({ labels }) => labels)).toEqual([["a", "b"], ["a"]]);
  });
});

describe("words of languages without blanks, or with endings", () => {
  test("thai_doccano.jsonl", async () => {
    expect(await read(fixture("thai_doccano.jsonl"))).toEqual(
      Array.from({ length: 8 }, () => ["PER สมชาย", "LOC กรุงเทพ"]),
    );
  });

  const languages: Readonly<Record<string, readonly (readonly [string, ...string[]])[]>> = {
    // A name that no dictionary has, and ends inside a dictionary's word.
    Thai: [
      ["นายกรณ์ไปเชียงใหม่", "กรณ์"],
      ["ฉันรักกรุงเทพฯ", "กรุงเทพ"],
      ["รถไฟฟ้าสายสีแดง", "รถไฟ"],
    ],
    Khmer: [
      ["ខ្ញុំរស់នៅភ្នំពេញជាមួយសុខ", "ភ្នំពេញ"],
      ["គាត់ទៅសៀមរាប", "សៀមរាប"],
    ],
    Lao: [["ຂ້ອຍຢູ່ວຽງຈັນກັບແມ່", "ວຽງຈັນ"]],
    Burmese: [["ကျွန်တော်ရန်ကုန်မှာနေတယ်", "ရန်ကုန်"]],
    Chinese: [
      ["我在北京大学读书", "北京大学"],
      ["张三去上海", "张三", "上海"],
    ],
    Japanese: [["田中さんは東京タワーに行った", "田中", "東京タワー"]],
    Korean: [
      ["김철수는 서울에서 삼성전자를 만났다", "김철수", "서울", "삼성전자"],
      ["LG전자의 주가", "LG전자"],
    ],
    Hebrew: [
      ["הוא גר בירושלים", "ירושלים"],
      ["נסענו לתל אביב", "תל אביב"],
    ],
    Arabic: [["سافر بالقطار والقاهرة جميلة", "القاهرة"]],
    Finnish: [
      ["Asun Helsingissä", "Helsingi"],
      ["Matkustin Tampereelle", "Tamperee"],
      ["Olen Turusta kotoisin", "Turu"],
    ],
    Turkish: [
      ["Ankarada yaşıyorum", "Ankara"],
      ["İstanbuldan geldim", "İstanbul"],
      ["Izmire gidiyorum Ayşeyle", "Izmir", "Ayşe"],
    ],
  };
  test.each(Object.entries(languages))("%s", async (_, rows) => {
    const path = file(
      jsonLines(
        ...rows.map(([text, ...parts]) => ({
          text,
          spans: parts.map((part) => {
            const [start, end] = at(text, part, counts["utf-16"]);
            return { start, end, label: "X" };
          }),
        })),
      ),
      "l.jsonl",
    );
    const expected = rows.map(([, ...parts]) => parts.map((part) => `X ${part}`));
    const { examples, settled } = await readExamples<"tokens">(path, { kind: "tokens" });
    expect(examples.map(marked)).toEqual(expected);
    // Prediction cuts the same texts at the same places.
    const open = await readExamples<"tokens">(path, { kind: "tokens", gold: false, ...settled });
    expect(open.examples.map(({ offsets }) => offsets)).toEqual(examples.map(({ offsets }) => offsets));
  });

  test("slips and shifted offsets in a language with blanks are refused as before", async () => {
    const texts = [
      "We saw London today",
      "They left Paris early",
      "He lives near Berlin now",
      "Go to Vienna please",
    ];
    const names = ["London", "Paris", "Berlin", "Vienna"];
    const shifted = (by: readonly [number, number]): string =>
      file(
        jsonLines(
          ...texts.map((text, i) => {
            const [start, end] = at(text, names[i]!, counts["utf-16"]);
            return { text, spans: [{ start: start + by[0], end: end + by[1], label: "LOC" }] };
          }),
        ),
        "s.jsonl",
      );
    // The last letter was not counted; everything one letter late; a first letter lost.
    for (const by of [
      [0, -1],
      [1, 1],
      [1, 0],
    ] as const) {
      const message = await refusal(shifted(by));
      expect(message).toMatch(/^FILE: line 1: expected a span that ends at word borders/);
      expect(message).toContain("misaligned: cut");
    }
    expect(await read(shifted([0, -1]), { misaligned: "cut" })).toEqual(
      names.map((name) => [`LOC ${name.slice(0, -1)}`]),
    );
  });

  test("train, dev and test are cut alike", async () => {
    const write = (name: string, rows: readonly (readonly [string, string])[]): string =>
      file(
        jsonLines(
          ...rows.map(([text, part]) => ({ text, label: [[...at(text, part, counts["utf-16"]), "LOC"]] })),
        ),
        name,
      );
    const train = write("train.jsonl", [
      ["Asun Helsingissä", "Helsingi"],
      ["Matkustin Tampereelle", "Tamperee"],
      ["Olen Turusta", "Turu"],
    ]);
    const dev = write("dev.jsonl", [["Oulu Helsingissä", "Oulu"]]);
    const { dev: read, table } = await readDataset(train, { kind: "tokens", dev });
    expect(read[0]!.words).toEqual(["Oulu", "Helsingi", "ssä"]);
    expect(table!.cut).toEqual({ at: "runs", endings: ["lle", "ssä", "sta"] });
  });
});

describe("comments of column files", () => {
  test("multiconer_comment_lines.conll", async () => {
    const { examples } = await readExamples<"tokens">(fixture("multiconer_comment_lines.conll"), {
      kind: "tokens",
    });
    expect(examples.map(({ words }) => words)).toEqual(
      Array.from({ length: 12 }, (_, i) => [`ann${i}`, "lives", "in", "rome"]),
    );
  });

  const words = async (content: string, options: Options = {}): Promise<string[]> =>
    (await readExamples<"tokens">(file(content, "c.conll"), { kind: "tokens", ...options })).examples.map(
      (example) => example.words.join(" "),
    );

  test("hashtags and the word # stay words", async () => {
    expect(await words("# O\nwin O\n#Rome B-LOC\n\nI O\n# O\n1 O\n")).toEqual(["# win #Rome", "I # 1"]);
    expect(await words("#go\tHT\nAnn\tNN\n\nBob\tNN\n#now\tHT\n\n")).toEqual(["#go Ann", "Bob #now"]);
    expect(await words("#go\tHT\nAnn\tNN\n\n#now\tHT\nBob\tNN\n\n#x\tHT\nBob\tNN\n")).toEqual([
      "#go Ann",
      "#now Bob",
      "#x Bob",
    ]);
    expect(await words("#go\nAnn\n\n#\nBob\n")).toEqual(["#go Ann", "# Bob"]);
  });

  test("comments with as many cells as rows are no words", async () => {
    const comment = ["# id a1 domain=en", "# sent_id = 12", "# newdoc id: x", "#\tid\t7\tde"];
    for (const line of comment) {
      const rows = line.includes("\t") ? "ann\t_\t_\tB-PER\nran\t_\t_\tO\n" : "ann _ _ B-PER\nran _ _ O\n";
      expect(await words(`${line}\n${rows}\n${line.replace(/.$/, "z")}\n${rows}`)).toEqual([
        "ann ran",
        "ann ran",
      ]);
    }
    expect(await words("# doc\nann NN\nran VB\n\n# doc\nbob NN\n")).toEqual(["ann ran", "bob"]);
  });
});

describe("tags in any column, or in none", () => {
  test("tags_in_the_middle.conll", async () => {
    expect(await read(fixture("tags_in_the_middle.conll"))).toEqual(
      Array.from({ length: 12 }, (_, i) => [`PER Ann${i}`, "LOC Rome"]),
    );
    const open = await readExamples(fixture("tags_in_the_middle.words_only.conll"), {
      kind: "tokens",
      tokenColumn: 1,
      gold: false,
    });
    expect(open.examples).toEqual([{ words: ["Ann", "lives", "Rome"], line: 1 }]);
  });

  test("words alone, texts alone, other names", async () => {
    const open = { kind: "tokens", gold: false } as const;
    const wordsOf = async (content: string, name: string, more: Options = {}): Promise<string[]> =>
      (await readExamples<"tokens">(file(content, name), { ...open, ...more })).examples.map(({ words }) =>
        words.join(" "),
      );
    expect(await wordsOf("Ann\nran\n\nBob\nran\n", "w.txt")).toEqual(["Ann ran", "Bob ran"]);
    expect(await wordsOf("Ann x 1\nran x 2\n", "w.conll", { tagColumn: 4 })).toEqual(["Ann ran"]);
    expect(await wordsOf("Ann\nran\n\n", "w.conll", { tokenColumn: 2, tagColumn: 3 })).toEqual(["Ann ran"]);
    expect(await wordsOf('{"text": "Ann ran."}\n{"text": " "}\n', "w.jsonl")).toEqual(["Ann ran ."]);
    expect(await wordsOf("id,text\n1,Ann ran.\n", "w.csv")).toEqual(["Ann ran ."]);
    expect(await wordsOf("1\tAnn\t_\n2\tran\t_\n\n", "w.conllu")).toEqual(["Ann ran"]);
    expect(await wordsOf('[{"id": 1, "data": {"text": "Ann ran"}}]', "w.json")).toEqual(["Ann ran"]);
    // Marks that make no sense do not stand in the way of predictions.
    expect(await wordsOf('{"text": "Ann ran", "label": [[1, 99, "X"]]}\n', "w.jsonl")).toEqual(["Ann ran"]);
    expect(await wordsOf('{"words": ["Ann"], "tags": ["B-X", "O"]}\n', "w.jsonl")).toEqual(["Ann"]);
  });
});

describe("answers", () => {
  const squad = (...questions: { context: string; text: string; start: number }[]): string =>
    file(
      JSON.stringify({
        data: questions.map(({ context, text, start }, i) => ({
          title: `t${i}`,
          paragraphs: [
            { context, qas: [{ id: `q${i}`, question: "?", answers: [{ text, answer_start: start }] }] },
          ],
        })),
      }),
      "squad.json",
    );
  const starts = async (path: string): Promise<(number | undefined)[]> =>
    (await readExamples<"answers">(path, { kind: "answers" })).examples.map(({ context, answers }) => {
      const { text, start } = answers![0]!;
      expect(context.slice(start, start + text.length)).toBe(text);
      return start;
    });

  test("squad_answer_start_without_cr.json", async () => {
    expect(await starts(fixture("squad_answer_start_without_cr.json"))).toEqual([20, 22]);
  });

  test("the reading that holds most answers of the file counts, not the nearest place", async () => {
    const cr = "a\r\nb\r\nc\r\nno yes no yes";
    const utf = "😀😀😀 no no no no";
    // Without \r: the second "no". As UTF-16 units: the third one.
    expect(await starts(squad({ context: cr, text: "no", start: 13 }))).toEqual([cr.lastIndexOf("no")]);
    expect(
      await starts(squad({ context: utf, text: "no", start: 16 }, { context: utf, text: "no", start: 7 })),
    ).toEqual([16, 7]);
    expect(
      await starts(squad({ context: utf, text: "no", start: 10 }, { context: utf, text: "no", start: 4 })),
    ).toEqual([13, 7]);
  });

  test("an answer over a line end is found without its \\r", async () => {
    const context = "x\r\none\r\ntwo\r\none";
    expect(await starts(squad({ context, text: "one\ntwo", start: 2 }))).toEqual([3]);
    expect(await starts(squad({ context, text: "one\ntwo", start: 9 }))).toEqual([3]);
  });

  test("tables of answers likewise", async () => {
    const context = "a\r\nb\r\nc\r\nno yes no yes";
    const answers = { text: ["no"], answer_start: [13] };
    const path = file(jsonLines({ id: "1", question: "?", context, answers }), "a.jsonl");
    expect(await starts(path)).toEqual([16]);
  });
});

describe("on the command line", () => {
  const run = async (...args: string[]): Promise<{ stdout: string; stderr: string }> => {
    const env = { PTUNING_CACHE: join(folder, "cache"), HF_HUB_OFFLINE: "1" };
    const { code, stdout, stderr } = await ptuning(args, { cwd: folder, env });
    expect(stderr).not.toMatch(/error:|defect:/);
    expect(code).toBe(0);
    return { stdout, stderr };
  };
  const use = ["--backbone", tinyFolder, "--precision", "fp32", "--threads", "1"];
  const trained = async (name: string): Promise<string> => {
    const out = join(folder, `run-${files++}`);
    await run(
      "check-data",
      fixture(name),
      ...use.slice(0, 2),
      "--max-length",
      "24",
      "--set",
      "method.promptLength=2",
    );
    const settings = ["--epochs", "1", "--prompt-length", "2", "--max-length", "24"];
    await run("train", fixture(name), ...use, ...settings, "-o", out);
    return out;
  };
  const predicted = async (out: string, input: string): Promise<{ words: string[]; text?: string }[]> =>
    (await run("predict", out, "--input", input, ...use, "--json")).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));

  test("tags in the middle, then words alone, lines of text, and tags elsewhere", async () => {
    const out = await trained("tags_in_the_middle.conll");
    const words = await predicted(out, fixture("tags_in_the_middle.words_only.conll"));
    expect(words.map((one) => one.words)).toEqual([["Ann", "lives", "Rome"]]);
    const lines = await predicted(out, file("Ann lives\nin Rome.\n", "t.txt"));
    expect(lines.map((one) => one.words)).toEqual([
      ["Ann", "lives"],
      ["in", "Rome", "."],
    ]);
    const other = file("Ann x 7 B-PER\nlives x 8 O\n", "o.conll");
    expect(JSON.parse((await run("evaluate", out, other, ...use, "--json")).stdout).examples).toBe(1);
  }, 60_000);

  test("Thai is cut in predictions as in training", async () => {
    const out = await trained("thai_doccano.jsonl");
    const { stdout } = await run("predict", out, "สมชายไปกรุงเทพ", ...use, "--json");
    expect(JSON.parse(stdout).words).toEqual(["สมชาย", "ไป", "กรุงเทพ"]);
    const open = await predicted(out, file(jsonLines({ text: "ไปกรุงเทพ" }), "o.jsonl"));
    expect(open.map((one) => one.words)).toEqual([["ไป", "กรุงเทพ"]]);
  }, 60_000);
});
