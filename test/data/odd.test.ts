/** Odd but valid files are read as Python's csv and json and pyarrow read them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type FormatName, openRows, readExamples } from "ptuning/data";
import { afterAll, describe, expect, test } from "vitest";
import { readGolden } from "../support/golden.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-odd-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fixture = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;

async function rowsOf(path: string, format: FormatName): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for await (const { fields } of (await openRows(path, { format })).rows) rows.push({ ...fields });
  return rows;
}

interface OddFile {
  readonly format: FormatName;
  readonly name: string;
  readonly content: string;
  readonly rows: readonly string[];
}

describe("text", () => {
  const files = readGolden<OddFile[]>("odd.json");

  test.each(files)("$format: $name", async ({ format, name, content, rows }) => {
    const path = join(folder, `${name}.${format}`);
    writeFileSync(path, Buffer.from(content, "base64"));
    const expected = rows.map((row) => ({ ...(JSON.parse(row) as object) }));
    expect(await rowsOf(path, format)).toEqual(expected);
    writeFileSync(`${path}.gz`, gzipSync(Buffer.from(content, "base64")));
    expect(await rowsOf(`${path}.gz`, format)).toEqual(expected);
  });
});

describe("Parquet", () => {
  const golden = readGolden<{ odd: object[]; rows: number; files: string[] }>("parquet.json");

  test.each(golden.files)("%s", async (name) => {
    const rows = await rowsOf(fixture(name), "parquet");
    expect(rows.length).toBe(golden.rows);
    // The file repeats its first six rows; days repeat in twos.
    expect(rows).toEqual(Array.from({ length: golden.rows }, (_, i) => golden.odd[i % 6]));
  });

  test("lists, structs and class names of Hugging Face data sets", async () => {
    const path = fixture("features.parquet");
    expect((await readExamples(path, { kind: "answers" })).examples).toEqual([
      {
        id: "1",
        question: "who?",
        context: "😀 Ann Lee left",
        answers: [{ text: "Ann Lee", start: 3 }],
        group: "T",
        line: 1,
      },
      { id: "2", question: "why?", context: "no answer here", answers: [], group: "T", line: 2 },
      {
        id: "3",
        question: "who?",
        context: "Bob",
        answers: [
          { text: "Bob", start: 0 },
          { text: "Bob", start: 0 },
        ],
        group: "U",
        line: 3,
      },
    ]);
    expect((await readExamples(path, { kind: "tokens" })).examples).toEqual([
      { words: ["Ann", "Lee", "left"], tags: ["B-PER", "I-PER", "O"], line: 1 },
      { words: ["😀"], tags: ["O"], line: 3 },
    ]);
    const labelled = { text: "question", damaged: "skip" } as const;
    const texts = await readExamples(path, { ...labelled, label: "label" });
    expect(texts.examples.map(({ label }) => label)).toEqual(["yes", "no"]);
    expect(texts.warnings[0]).toMatch(/line 3: "label": expected a value, got null/);
  });

  test("gzipped as a whole", async () => {
    const path = join(folder, "groups.parquet.gz");
    writeFileSync(path, gzipSync(readFileSync(fixture("groups.parquet"))));
    const { examples } = await readExamples(path, { text: "text", label: "label" });
    expect(examples[11]).toEqual({ text: "text 11 – naïve 😀", label: "c", line: 12 });
  });
});
