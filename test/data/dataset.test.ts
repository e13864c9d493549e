/** Splits, labels, fingerprints, sources: what holds for every kind. */
import { spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { type ExampleKinds, exampleKey, readDataset, readExamples, readTable, splitOff } from "ptuning/data";
import { afterAll, describe, expect, test } from "vitest";
import { repository } from "../support/requirements.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-dataset-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

describe("splitOff", () => {
  const example = fc.record({
    text: fc.constantFrom("a", "A ", "b", "c", "d", "e", "f", "g"),
    label: fc.constantFrom("x", "y"),
    group: fc.constantFrom("1", "2", "3", "4", "5", "6", "7", "8"),
    line: fc.nat(),
  });

  test("parts no group and no equal texts, and loses nothing", () => {
    fc.assert(
      fc.property(fc.array(example, { minLength: 2, maxLength: 60 }), fc.nat(), (examples, seed) => {
        let split: ReturnType<typeof splitOff<(typeof examples)[number]>>;
        try {
          split = splitOff(examples, 0.3, seed);
        } catch (error) {
          // All is tied together.
          expect(String(error)).toContain("expected enough rows to split off a dev set");
          return;
        }
        const { kept, taken } = split;
        expect(kept.length + taken.length).toBe(examples.length);
        const sides = (of: (one: ExampleKinds["text"]) => string): void => {
          const left = new Set(kept.map(of));
          expect(taken.filter((one) => left.has(of(one)))).toEqual([]);
        };
        sides((one) => exampleKey("text", one));
        sides((one) => one.group!);
        expect(splitOff(examples, 0.3, seed)).toEqual(split);
      }),
    );
  });

  test("takes the same share of every label", () => {
    const examples = Array.from({ length: 300 }, (_, i) => ({
      text: `t${i}`,
      label: i % 3 === 0 ? "rare" : "often",
    }));
    const { taken } = splitOff(examples, 0.1, 1);
    expect(taken.filter(({ label }) => label === "rare").length).toBe(10);
    expect(taken.length).toBe(30);
  });

  test("keeps articles, sentences and paragraphs together", () => {
    const answers = Array.from({ length: 60 }, (_, i) => ({
      id: `${i}`,
      question: `q${i}`,
      context: `c${i}`,
      group: `a${i % 6}`,
    }));
    const ofAnswers = splitOff(answers, 0.2, 1, "answers");
    expect(
      new Set([
        ...ofAnswers.kept.map(({ group }) => group),
        ...ofAnswers.taken.map(({ group }) => `dev ${group}`),
      ]).size,
    ).toBe(6);
    const roles = Array.from({ length: 60 }, (_, i) => ({
      words: ["a", `${i % 10}`],
      predicate: i % 2,
      group: `s${i % 10}`,
    }));
    const ofRoles = splitOff(roles, 0.2, 1, "roles");
    const left = new Set(ofRoles.kept.map(({ group }) => group));
    expect(ofRoles.taken.filter(({ group }) => left.has(group))).toEqual([]);
    const options = Array.from({ length: 60 }, (_, i) => ({
      text: "p",
      pair: `${i}`,
      group: `q${i % 20}`,
      document: `d${i % 5}`,
    }));
    const ofOptions = splitOff(options, 0.2, 1);
    expect(new Set(ofOptions.taken.map(({ document }) => document)).size).toBe(1);
    expect(ofOptions.taken.length).toBe(12);
  });
});

describe("readDataset", () => {
  test("a folder with files named by split, gzipped or in folders", async () => {
    write("named/train.csv", "text,label\na,x\nb,y\n");
    write("named/dev.csv.gz", gzipSync("text,label\nc,x\nd,z\n"));
    write("named/test.csv", "text,label\ne,x\n");
    write("named/train.few.csv", "text,label\nf,x\n");
    const options = { kind: "text", text: "text", label: "label" } as const;
    const data = await readDataset(join(folder, "named"), options);
    expect([data.train.length, data.dev.length, data.test.length]).toEqual([2, 2, 1]);
    expect(data.labels).toEqual(["x", "y", "z"]);
    expect(data.warnings).toEqual(["1 label occurs in the dev data only and cannot be learnt: z."]);
    expect(data.table).toEqual({ text: "text", label: "label" });
    write("twice/train.a.csv", "text,label\na,x\n");
    write("twice/train.b.csv", "text,label\na,x\n");
    await expect(readDataset(join(folder, "twice"), options)).rejects.toThrow(
      "expected one file for train, got train.a.csv, train.b.csv",
    );
    await expect(readDataset(join(folder, "absent"), options)).rejects.toMatchObject({
      code: "DATA_NOT_FOUND",
    });
  });

  test("the same file read as a table gives the same as readTable", async () => {
    const path = "examples/01-support-intents/train.csv";
    const options = { text: "text", label: "intent" };
    const table = await readTable(path, options);
    expect(await readDataset(path, { ...options, kind: "text" })).toEqual(table);
    expect(table.fingerprint).toBe("sha256:f89f9bb7196428adfbdcb30da1b8402f292668338cc801c1334b29c20fdd4ce2");
    expect(table.dev[0]).toEqual({ text: "How long's the cable?", label: "product_question", line: 2 });
  });

  test("a test set is split off before the dev set, by groups and with numbers of its own", async () => {
    const path = write(
      "single.jsonl",
      Array.from({ length: 200 }, (_, i) =>
        JSON.stringify({ text: `t${i}`, label: i % 4 === 0 ? "rare" : "often", article: `a${i >> 1}` }),
      ).join("\n"),
    );
    const options = { kind: "text", text: "text", label: "label", group: "article" } as const;
    const data = await readDataset(path, { ...options, testShare: 0.2 });
    expect([data.train.length, data.dev.length, data.test.length]).toEqual([144, 16, 40]);
    const parts = [data.train, data.dev, data.test].map((part) => new Set(part.map(({ group }) => group)));
    expect(new Set(parts.flatMap((part) => [...part])).size).toBe(100);
    expect(parts.reduce((sum, part) => sum + part.size, 0)).toBe(100);
    expect(await readDataset(path, { ...options, testShare: 0.2 })).toEqual(data);
    const other = await readDataset(path, { ...options, testShare: 0.2, seed: 12 });
    expect(other.test).not.toEqual(data.test);
    // The dev set's numbers are not the test set's: of the same rows another part is taken.
    expect((await readDataset(path, { ...options, devShare: 0.2 })).dev).not.toEqual(data.test);
    const single = { ...options, testShare: 0.2, test: path };
    await expect(readDataset(path, single)).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: `testShare: expected no test data beside it, got ${path}.`,
    });
    await expect(readDataset(path, { ...options, testShare: 1 })).rejects.toThrow(
      "testShare: expected a number from 0 to below 1, got 1.",
    );
    const tied = write("tied.csv", "text,label,of\na,x,1\nb,y,1\n");
    const ofTied = { kind: "text", text: "text", label: "label", group: "of", testShare: 0.5 } as const;
    await expect(readDataset(tied, ofTied)).rejects.toMatchObject({
      message: "data: expected enough rows to split off a test set, got 2.",
      hint: expect.stringContaining("testShare"),
    });
  });

  test("several files are one after the other", async () => {
    const [a, b, c] = ["a", "b", "c"].map((name) =>
      write(`several/${name}.csv`, `text,label\n${name}1,x\n${name}2,y\n`),
    ) as [string, string, string];
    const options = { kind: "text", text: "text", label: "label", devShare: 0 } as const;
    const data = await readDataset([a, b], { ...options, test: [c, a] });
    expect(data.train.map(({ text }) => text)).toEqual(["a1", "a2", "b1", "b2"]);
    expect(data.test.map(({ text }) => text)).toEqual(["c1", "c2", "a1", "a2"]);
    const folders = await readDataset([a, join(folder, "named")], options);
    expect(folders.train.map(({ text }) => text)).toEqual(["a1", "a2", "a", "b"]);
    expect([folders.dev.length, folders.test.length]).toEqual([2, 1]);
  });

  test("tags are collected as labels", async () => {
    const path = write("ner.conll", Array.from({ length: 20 }, (_, i) => `w${i}\tB-X\nv\tO\n\n`).join(""));
    const data = await readDataset(path, { kind: "tokens", devShare: 0.25 });
    expect(data.labels).toEqual(["B-X", "O"]);
    expect(data.dev.length).toBe(5);
  });
});

describe("gzip", () => {
  const bomb = write("bomb.jsonl.gz", gzipSync(Buffer.alloc(64 << 20, "x")));

  test("unpacks to at most the limit", async () => {
    const limited = { text: "t", maxUnpackedBytes: 10_000_000 };
    await expect(readExamples(bomb, limited)).rejects.toThrow(
      /expected a file that unpacks to at most 10000000 bytes|at most 1000000 characters/,
    );
    const lines = write("lines.txt.gz", gzipSync(`${"a line".repeat(50)}\n`.repeat(50_000)));
    await expect(readExamples(lines, { text: 1, maxUnpackedBytes: 10_000_000 })).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringContaining("expected a file that unpacks to at most 10000000 bytes, got more"),
    });
    const parquet = write(
      "bomb.parquet.gz",
      gzipSync(Buffer.concat([Buffer.from("PAR1"), Buffer.alloc(20 << 20)])),
    );
    await expect(readExamples(parquet, limited)).rejects.toThrow("unpacks to at most 10000000 bytes");
  });

  test("is known by its bytes, whatever the name", async () => {
    const { examples } = await readExamples(write("renamed.csv", gzipSync("t\na\n")), { text: "t" });
    expect(examples[0]!.text).toBe("a");
  });

  const article = (text: string): string =>
    JSON.stringify({
      title: "t",
      paragraphs: [{ context: text, qas: [{ id: "1", question: "?", answers: [] }] }],
    });
  const long = "word ".repeat(200);

  test.for<[string, string, string, string, object]>([
    ["large.jsonl", "", `${JSON.stringify({ t: long })}\n`, "", { text: "t" }],
    ["large.csv", "t\n", `"${long}"\n`, "", { text: "t" }],
    ["large.conll", "", `${`${"word".repeat(50)}\tO\n`.repeat(20)}\n`, "", { kind: "tokens" }],
    ["large.json", '{"data": [', `${article(long)},\n`, `${article("x")}]}`, { kind: "answers" }],
  ])("a large file passes through a small heap: %s", async ([name, head, record, foot, options]) => {
    const count = Math.ceil(60e6 / record.length);
    const path = write(`${name}.gz`, "");
    const content = function* (): Generator<string> {
      yield head;
      for (let i = 0; i < count; i += 100) yield record.repeat(100);
      yield foot;
    };
    await pipeline(Readable.from(content()), createGzip({ level: 1 }), createWriteStream(path));
    const program = `import { openExamples } from "ptuning/data";
      let count = 0;
      const { examples } = await openExamples(${JSON.stringify(path)}, ${JSON.stringify(options)});
      for await (const _ of examples) count++;
      console.log(count);`;
    // 60 MB of text through a heap of 24 MB.
    const limits = ["--max-old-space-size=24", "--max-semi-space-size=2"];
    const { stdout, status } = spawnSync(
      process.execPath,
      [...limits, "--input-type=module", "-e", program],
      {
        cwd: repository,
        encoding: "utf8",
      },
    );
    expect([status, Number(stdout) >= count]).toEqual([0, true]);
  });
});
