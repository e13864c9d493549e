/** Data that takes more time or memory than there is, and records that are no text. */
import { spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { readDataset, readExamples } from "ptuning/data";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { limit } from "../support/limits.ts";
import { repository } from "../support/requirements.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-limits-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe("a pattern of the user's", () => {
  test("that takes too long is refused with the text", async () => {
    const path = await file("slow.txt", `a: fine\n${"a".repeat(60)}!: slow\n`);
    const started = performance.now();
    await expect(
      readExamples(path, { format: "lines", text: 1, labelPattern: "^(?<label>(a+)+): (?<text>.*)$" }),
    ).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: expect.stringMatching(/labelPattern: .*takes longer on "aaaa/),
    });
    expect(performance.now() - started).toBeLessThan(20_000);
  }, 60_000);

  test("is applied to every line, with look-behind and all that regular expressions have", async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `${i % 2 ? "yes" : "no"}: text ${i}`);
    const path = await file("many.txt", lines.join("\n"));
    const { examples } = await readExamples(path, {
      format: "lines",
      text: 1,
      labelPattern: "^(?<label>\\w+)(?<=yes|no): (?<text>.*)$",
    });
    expect(examples).toHaveLength(5000);
    expect(examples[4999]).toMatchObject({ label: "yes", text: "text 4999", line: 5000 });
  });

  test("that does not fit a line is said with the line", async () => {
    const path = await file("odd.txt", "yes: a\nno b\n");
    const reading = { format: "lines", text: 1, labelPattern: "^(?<label>\\w+): (?<text>.*)$" } as const;
    await expect(readExamples(path, reading)).rejects.toThrow(/line 2: expected a text that matches/);
    const { examples, warnings } = await readExamples(path, { ...reading, damaged: "skip" });
    expect(examples).toHaveLength(1);
    expect(warnings.join()).toMatch(/1 damaged records were left out: line 2/);
  });
});

describe("more rows than memory are an error, not the end of the process", () => {
  const program = `
    import { readDataset } from "ptuning/data";
    await readDataset(process.argv[1], { kind: "text", text: "text", label: "label" }).catch((error) => {
      console.log(error.code, error.message, error.hint);
    });`;
  let path: string;

  beforeAll(async () => {
    path = join(folder, "large.csv.gz");
    function* rows(): Generator<string> {
      yield "text,label\n";
      for (let i = 0; i < 4000; i++) {
        let block = "";
        for (let k = 0; k < 500; k++)
          block += `row ${i * 500 + k} of a file that unpacks to more than there is room for,${k % 2}\n`;
        yield block;
      }
    }
    await pipeline(Readable.from(rows()), createGzip({ level: 1 }), createWriteStream(path));
  });

  /** A container of 90 MB. */
  const container = "data:text/javascript,process.constrainedMemory = () => 90 * 2 ** 20;";
  test.each([
    [
      "the heap",
      ["--max-old-space-size=160"],
      /need \d+ MB of the \d+ MB that the process may use of its heap.*max-old-space/s,
    ],
    ["the container", ["--import", container], /need 30 MB of the 90 MB that this machine or container has/],
  ])(
    "that of %s",
    (_, options, limit) => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [...options, "--input-type=module", "-e", program, path],
        { cwd: repository, encoding: "utf8" },
      );
      expect(status, stderr).toBe(0);
      expect(stdout).toMatch(
        /^DATA_INVALID .*large\.csv\.gz: expected examples that fit in memory, got more/,
      );
      expect(stdout).toMatch(limit);
    },
    120_000,
  );
});

test.each(["1", "2"])(
  "a page header without a number is an error, not a loop without an end: %s",
  (name) => {
    const path = join(repository, `test/data/fixtures/endless/${name}.parquet`);
    const program = `
    import { openRows } from "ptuning/data";
    const { rows } = await openRows(process.argv[1], {});
    try { for await (const _ of rows); } catch (error) { console.log(error.code, error.message); }`;
    const { signal, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program, path], {
      cwd: repository,
      encoding: "utf8",
      timeout: limit(20_000),
      killSignal: "SIGKILL",
    });
    expect(signal).toBeNull();
    expect(stdout).toMatch(
      /^DATA_INVALID .*rows \d+ to \d+: expected a Parquet file, got: a page header that lacks a number/,
    );
  },
  60_000,
);

describe("row groups of Parquet are read as a whole", () => {
  /** Writes a file with so many rows in each group, one of few bytes for many rows where texts are equal. */
  async function write(
    name: string,
    count: number,
    rowGroupSize: number,
    text: (i: number) => string,
  ): Promise<string> {
    const column = (of: (i: number) => string): string[] => Array.from({ length: count }, (_, i) => of(i));
    const columnData = [
      { name: "text", data: column(text), type: "STRING" as const },
      { name: "label", data: column((i) => "ab"[i % 2]!), type: "STRING" as const },
    ];
    const path = join(folder, name);
    await writeFile(path, new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize })));
    return path;
  }
  /** Counts the examples in a process with so much memory. */
  function count(path: string, megabytes: number): string {
    const program = `
      import { openExamples } from "ptuning/data";
      try {
        let count = 0;
        const { examples } = await openExamples(process.argv[1], { kind: "text", text: "text", label: "label" });
        for await (const _ of examples) count++;
        console.log(count);
      } catch (error) {
        console.log(error.code, error.message, error.hint);
      }`;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [`--max-old-space-size=${megabytes}`, "--input-type=module", "-e", program, path],
      { cwd: repository, encoding: "utf8" },
    );
    expect(status, stderr).toBe(0);
    return stdout.trim();
  }

  test.each([
    ["a few bytes for many rows", () => "the same text"],
    [
      "many different rows",
      (i: number) => `row ${i} of a file whose groups are larger than there is room for`,
    ],
  ])(
    "%s are refused where they do not fit, and read in smaller groups",
    async (_, text) => {
      const rows = 800_000;
      const whole = await write("whole.parquet", rows, rows, text);
      expect(count(whole, 64)).toMatch(
        /^DATA_INVALID .*whole\.parquet: expected row groups that fit in memory, got one of 800000 rows: about \d+ MB, of \d+ MB that a group may take\. Write the file with smaller row groups/,
      );
      expect(count(whole, 1000)).toBe(String(rows));
      expect(count(await write("parts.parquet", rows, rows / 16, text), 64)).toBe(String(rows));
    },
    120_000,
  );
});

describe("records that are no text are left out and counted where damage is skipped", () => {
  const skip = { damaged: "skip" } as const;
  const texts = async (path: string, options: object = {}) => {
    const { examples, warnings } = await readExamples(path, { text: "text", ...skip, ...options });
    return { texts: examples.map(({ text }) => text), warnings: warnings.join() };
  };
  const bytes = (...parts: (string | number[])[]): Buffer =>
    Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part))));

  test.each([
    ["NUL bytes", [0]],
    ["bytes that are no UTF-8", [0xff, 0xfe, 0x41]],
    ["half a character", [0xe4, 0xb8]],
  ])("%s in CSV, JSON lines and plain lines", async (_, damage) => {
    const csv = await file(
      "damaged.csv",
      bytes("text,label\nfine,a\nbr", damage, "oken,b\nalso fine \ufffd,a\n"),
    );
    expect(await texts(csv)).toMatchObject({
      texts: ["fine", "also fine \ufffd"],
      warnings: expect.stringMatching(/1 damaged records/),
    });
    const jsonl = await file(
      "damaged.jsonl",
      bytes('{"text":"fine"}\n{"text":"br', damage, 'oken"}\n{"text":"also fine \ufffd"}\n'),
    );
    expect(await texts(jsonl)).toMatchObject({
      texts: ["fine", "also fine \ufffd"],
      warnings: expect.stringMatching(/1 damaged records/),
    });
    const plain = await file("damaged.txt", bytes("fine\nbr", damage, "oken\nalso fine \ufffd"));
    expect(await texts(plain, { format: "lines", text: 1 })).toMatchObject({
      texts: ["fine", "also fine \ufffd"],
    });
    await expect(readExamples(csv, { text: "text" })).rejects.toThrow(/line 3: expected (text|utf-8 text)/);
  });

  test("UTF-16 without its name gives no rows", async () => {
    const path = await file("utf16.csv", Buffer.from("text,label\nfine,a\nalso,b\n", "utf16le"));
    await expect(readExamples(path, { text: "text", ...skip })).rejects.toMatchObject({
      code: "DATA_INVALID",
    });
    expect(await texts(path, { encoding: "utf-16le" })).toMatchObject({
      texts: ["fine", "also"],
      warnings: "",
    });
  });

  test("a byte order mark is no damage", async () => {
    const path = await file(
      "bom.csv",
      bytes([0xef, 0xbb, 0xbf], "text,label\nfine,a\nbr", [0xff], "oken,b\n"),
    );
    expect((await texts(path)).texts).toEqual(["fine"]);
  });
});

test("a field that is nested without end is an error of its line", async () => {
  const path = await file(
    "deep.jsonl",
    `{"text":"a","label":"b"}\n{"text":${"[".repeat(100_000)}${"]".repeat(100_000)},"label":"b"}\n`,
  );
  await expect(readExamples(path, { text: "text", label: "label" })).rejects.toMatchObject({
    code: "DATA_INVALID",
    message: expect.stringMatching(/line 2/),
  });
});

test("labels and columns may be named as what objects have anyway", async () => {
  const labels = ["__proto__", "constructor", "hasOwnProperty", "toString", "valueOf"];
  const rows = labels.flatMap((label) =>
    Array.from({ length: 4 }, (_, i) => `text ${i} of ${label},${label}`),
  );
  const path = await file("names.csv", `text,label\n${rows.join("\n")}\n`);
  const data = await readDataset(path, { kind: "text", text: "text", label: "label" });
  expect(data.labels).toEqual(labels);
  const task = sequenceClassification({ labels });
  expect(task.options.labels).toEqual(labels);
  const lines = await file("names.jsonl", '{"text":"a"}\n');
  await expect(readExamples(lines, { text: "toString" })).rejects.toThrow(
    /expected a column "toString", got text/,
  );
});
