import { join } from "node:path";
import { type Dataset, readTable, type TextExample } from "ptuning/data";
import { checkData, type DataChecks, type Finding } from "ptuning/internal/checks";
import { openTokenizer } from "ptuning/internal/text";
import { sequenceClassification } from "ptuning/tasks";
import { beforeAll, describe, expect, test } from "vitest";
import { has, repository } from "../support/requirements.ts";
import { tinyExamples, tinyFolder } from "../support/tiny.ts";

const example = (line: number, text: string, label: string): TextExample => ({ text, label, line });
const dataset = (parts: Partial<Dataset>): Dataset => ({
  train: [],
  dev: [],
  test: [],
  labels: ["a", "b"],
  fingerprint: "sha256:test",
  warnings: [],
  ...parts,
});
const plain = (data: Dataset): Promise<DataChecks> =>
  checkData(data, sequenceClassification({ labels: data.labels }));
const of = (checks: DataChecks, code: string): Finding[] =>
  checks.findings.filter((finding) => finding.code === code);

/** Twenty different texts of each of two labels. */
const sound = ["a", "b"].flatMap((label, l) =>
  Array.from({ length: 30 }, (_, i) => example(1 + i + 30 * l, `${label} w${i} w${i + 1}`, label)),
);

describe("bad data", () => {
  test("sound data has no errors and no warnings", async () => {
    const { findings, splits } = await plain(dataset({ train: sound, dev: [example(1, "new", "a")] }));
    expect(findings.map(({ severity, code }) => [severity, code])).toEqual([
      ["info", "small-dev"],
      ["info", "no-test"],
    ]);
    expect(splits).toEqual([
      { name: "train", examples: 60, duplicates: 0 },
      { name: "dev", examples: 1, duplicates: 0 },
    ]);
  });

  test("duplicates count where only case and white space differ; the later ones are named", async () => {
    const repeats = [example(61, "A  w0 W1 ", "a"), example(62, "a w0 w1", "a")];
    const checks = await plain(dataset({ train: [...sound, ...repeats] }));
    expect(of(checks, "duplicates")).toEqual([
      {
        severity: "warning",
        code: "duplicates",
        message: "train: 2 examples (3.2 %) that repeat an earlier one with the same answer.",
        advice: expect.any(String),
        places: [
          { split: "train", line: 61 },
          { split: "train", line: 62 },
        ],
      },
    ]);
    expect(checks.splits[0]!.duplicates).toBe(2);
  });

  test("equal texts with different labels contradict each other and are no duplicates", async () => {
    const checks = await plain(dataset({ train: [...sound, example(61, "a w3 w4", "b")] }));
    expect(of(checks, "duplicates")).toEqual([]);
    expect(of(checks, "label-conflicts")).toMatchObject([
      {
        severity: "warning",
        message: "train: 1 text with different answers (2 examples (3.3 %)).",
        places: [{ line: 4 }, { line: 61 }],
      },
    ]);
  });

  test("texts in two splits", async () => {
    const checks = await plain(
      dataset({ train: sound, dev: [example(7, "a w1 w2", "b")], test: [example(9, "A w1 w2", "a")] }),
    );
    expect(of(checks, "shared-texts").map(({ message, places }) => [message, places])).toEqual([
      ["dev: 1 example (100.0 %) with a text that is in train as well.", [{ split: "dev", line: 7 }]],
      ["test: 1 example (100.0 %) with a text that is in train as well.", [{ split: "test", line: 9 }]],
      ["test: 1 example (100.0 %) with a text that is in dev as well.", [{ split: "test", line: 9 }]],
    ]);
  });

  test("labels that training lacks, rare ones, uneven ones", async () => {
    const train = [...sound, example(61, "one of c", "c")];
    const dev = [example(1, "what", "typo")];
    const message = "1 label occurs in the dev data only and cannot be learnt: typo.";
    const checks = await plain(
      dataset({ train, dev, labels: ["a", "b", "c", "typo"], warnings: [message, "x.csv: odd."] }),
    );
    expect(of(checks, "unseen-labels")).toMatchObject([{ message, places: [{ split: "dev", line: 1 }] }]);
    // The reader says the same: it is said once. What only the reader knows is kept.
    expect(of(checks, "reader").map((finding) => finding.message)).toEqual(["x.csv: odd."]);
    expect(of(checks, "rare-labels")[0]!.message).toBe(
      '1 label with fewer than 10 training examples: "c (1)".',
    );
    expect(of(checks, "label-balance")[0]!.message).toContain('"a" is 30 times as frequent');
    expect(checks.labels.at(-1)).toEqual({ label: "typo", train: 0, dev: 1, test: 0 });
  });

  test("the worst come first; examples without an answer and empty texts are errors", async () => {
    const train = [...sound, { text: "no label", line: 61 }, example(62, " ", "a")];
    const { findings } = await plain(dataset({ train, warnings: ["w"] }));
    expect(findings.map(({ severity }) => severity)).toEqual(["error", "error", "warning", "info", "info"]);
    expect(findings.slice(0, 2).map(({ message, places }) => [message, places[0]?.line])).toEqual([
      ["train: 1 example (1.6 %) with an empty text.", 62],
      ["train: 1 example (1.6 %) without a gold answer.", 61],
    ]);
  });

  test("findings quote no texts", async () => {
    const secret = "Zanzibar";
    const train = [...sound, example(61, secret, "a"), example(62, secret, "b"), example(63, secret, "a")];
    expect(JSON.stringify(await plain(dataset({ train, dev: train, test: train })))).not.toContain(secret);
  });
});

describe("lengths", () => {
  const limits = { maxLength: 6, longest: 45 };
  const withLengths = async (data: Dataset): Promise<DataChecks> =>
    checkData(data, sequenceClassification({ labels: data.labels }), {
      ...limits,
      tokenizer: await openTokenizer(tinyFolder),
    });

  test("are counted in tokens, special ones included, against every limit", async () => {
    const train = [3, 4, 5, 6, 40].map((words, i) => example(i, "w1 ".repeat(words), i % 2 ? "a" : "b"));
    const { lengths, findings } = await withLengths(dataset({ train }));
    expect(lengths!.splits).toEqual([{ split: "train", sequences: 5, median: 7, p95: 42, max: 42 }]);
    expect(lengths!.longer).toEqual([
      { maxLength: 6, sequences: 3, share: 0.6 },
      { maxLength: 32, sequences: 1, share: 0.2 },
      { maxLength: 45, sequences: 0, share: 0 },
    ]);
    const histogram = lengths!.histogram.filter(({ sequences }) => sequences > 0);
    expect(histogram).toEqual([
      { from: 4, to: 6, sequences: 1 },
      { from: 6, to: 8, sequences: 2 },
      { from: 8, to: 10, sequences: 1 },
      { from: 42, to: 44, sequences: 1 },
    ]);
    expect(findings.find(({ code }) => code === "cut-texts")).toMatchObject({
      severity: "warning",
      message: "3 sequences (60.0 %) longer than maxLength 6, which are cut; the longest has 42 tokens.",
      advice: expect.stringContaining("up to 42"),
    });
  });

  test("suggestions fit the lengths, the number of examples and the backbone", async () => {
    const few = await withLengths(
      dataset({ train: tinyExamples(100, 1), labels: ["class 0", "class 1", "class 2"] }),
    );
    expect(few.suggestions).toMatchObject({ maxLength: 16, batchSize: 8 });
    const long = [example(1, "w1 ".repeat(100), "a"), example(2, "w2", "b")];
    const many = Array.from({ length: 900 }, (_, i) => example(i, `w${i % 20} w2`, i % 2 ? "a" : "b"));
    expect((await withLengths(dataset({ train: [...many, ...long] }))).suggestions).toMatchObject({
      maxLength: 8,
      batchSize: 32,
      reasons: [expect.stringContaining("99.9 %"), expect.stringContaining("29 updates")],
    });
    expect((await withLengths(dataset({ train: long }))).suggestions!.maxLength).toBe(45);
  });

  test("data that the task refuses is an error, not a crash", async () => {
    const checks = await withLengths(dataset({ train: sound, test: [example(3, "x", "unknown")] }));
    expect(checks.lengths).toBeUndefined();
    expect(checks.findings[0]).toMatchObject({
      severity: "error",
      code: "task",
      message: 'label: expected one of a, b, got "unknown".',
    });
  });
});

describe.skipIf(!has.data || !has.minilm)("real data", () => {
  const shared = join(repository, "../shared/data");
  let trec: DataChecks;
  let sst2: DataChecks;
  beforeAll(async () => {
    const { loadBackbone } = await import("ptuning/internal/backbones");
    const backbone = await loadBackbone("minilm", { offline: true });
    const check = async (train: string, options: Parameters<typeof readTable>[1]): Promise<DataChecks> => {
      const data = await readTable(join(shared, train), options);
      return checkData(data, sequenceClassification({ labels: data.labels }), {
        tokenizer: backbone.tokenizer,
        maxLength: 32,
        longest: 512,
      });
    };
    trec = await check("trec/train.txt", {
      text: 1,
      labelPattern: String.raw`^(?<label>[\w-]+):\S+ (?<text>.*)$`,
      encoding: "latin1",
      test: join(shared, "trec/test.txt"),
    });
    sst2 = await check("sst2/stsa.binary.train", {
      text: 1,
      format: "lines",
      labelPattern: String.raw`^(?<label>\d+) (?<text>.*)$`,
      dev: join(shared, "sst2/stsa.binary.dev"),
      test: join(shared, "sst2/stsa.binary.test"),
    });
    await backbone.close();
  }, 120_000);

  test("TREC: balance, repeated questions, ten test questions in train", () => {
    expect(trec.labels.map(({ label, train, dev }) => [label, train + dev])).toEqual([
      ["ENTY", 1250],
      ["HUM", 1223],
      ["DESC", 1162],
      ["NUM", 896],
      ["LOC", 835],
      ["ABBR", 86],
    ]);
    expect(of(trec, "shared-texts").map(({ message }) => message)).toEqual([
      "test: 10 examples (2.0 %) with a text that is in train as well.",
      "test: 1 example (0.2 %) with a text that is in dev as well.",
    ]);
    expect(of(trec, "label-balance")).toHaveLength(1);
    expect(trec.lengths!.longer.find(({ maxLength }) => maxLength === 64)!.sequences).toBe(0);
    expect(trec.findings.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  test("SST-2: counts as its source says, a quarter is longer than 32 tokens, two test sentences in train", () => {
    expect(sst2.splits.map(({ name, examples }) => [name, examples])).toEqual([
      ["train", 6920],
      ["dev", 872],
      ["test", 1821],
    ]);
    expect(sst2.labels).toEqual([
      { label: "1", train: 3610, dev: 444, test: 909 },
      { label: "0", train: 3310, dev: 428, test: 912 },
    ]);
    expect(of(sst2, "cut-texts")[0]).toMatchObject({ severity: "warning" });
    expect(of(sst2, "shared-texts").map(({ places }) => places.length)).toEqual([2]);
    expect(of(sst2, "label-conflicts")).toEqual([]);
  });
});
