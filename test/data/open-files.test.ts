/** Data files are closed again: read to their end, refused at their first line, or left after a few examples. */
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { openExamples, openRecords, openRows, readDataset } from "ptuning/data";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/trials.ts";

let folder: string;
/** Larger than what is read at a time, so that the end is far when reading stops. */
const rows = 40_000;
const lines = (row: (i: number) => string): string => Array.from({ length: rows }, (_, i) => row(i)).join("");
const files: Record<string, string> = {
  "table.csv": `text,label\n${lines((i) => `w${i} w${i + 1} w${i + 2},class ${i % 3}\n`)}`,
  "late.csv": `text,label\n${lines((i) => `w${i},class ${i % 3}\n`)}"never closed\n${lines((i) => `w${i},x\n`)}`,
  "table.tsv": `text\tlabel\n${lines((i) => `w${i} w${i + 1} w${i + 2}\tclass ${i % 3}\n`)}`,
  "table.jsonl": lines((i) => `{"text": "w${i} w${i + 1}", "label": "class ${i % 3}"}\n`),
  "list.json": `[${lines((i) => `{"text": "w${i} w${i + 1}", "label": "class ${i % 3}"},\n`)}{}]`,
  "cut.json": `[${lines((i) => `{"text": "w${i}", "label": "class ${i % 3}"},\n`)}{"text"`,
  "tags.conll": lines((i) => `w${i} B-X\nw${i + 1} O\n\n`),
  "words.txt": lines((i) => `w${i}:A w${i + 1}:B\n`),
  "sense.txt": lines((i) => `LABEL${i % 3}:kind w${i} w${i + 1}\n`),
};

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "ptuning-open-")));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), content);
    await writeFile(join(folder, `${name}.gz`), gzipSync(content, { level: 1 }));
  }
  await mkdir(join(folder, "parallel"));
  await writeFile(
    join(folder, "parallel/seq.in"),
    lines((i) => `w${i} w${i + 1}\n`),
  );
  await writeFile(
    join(folder, "parallel/seq.out"),
    lines(() => "B-X O\n"),
  );
  // One that is shorter.
  await writeFile(join(folder, "parallel/label"), "a\n".repeat(rows / 2));
});
afterAll(() => rm(folder, { recursive: true }));

/** Which of the files this process has open. */
const openFiles = (): string[] =>
  readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return path.startsWith(folder) ? [path.slice(folder.length + 1)] : [];
    } catch {
      return [];
    }
  });

/** Streams close their files when they get to it. */
async function expectClosed(): Promise<void> {
  await until(() => openFiles().length === 0, 5000).catch(() => {});
  expect(openFiles()).toEqual([]);
}

describe.skipIf(!existsSync("/proc/self/fd"))("no file stays open", () => {
  const paths = [...Object.keys(files).flatMap((name) => [name, `${name}.gz`]), "parallel"];
  const kinds = ["text", "tokens", "choices", "roles", "answers"] as const;

  test.each(paths)(
    "%s, whatever it is read as",
    async (name) => {
      for (const kind of kinds) {
        await readDataset(join(folder, name), { kind } as { kind: "text" }).catch(() => {});
        await readDataset(join(folder, name), { kind, text: "absent" } as { kind: "text" }).catch(() => {});
      }
      await expectClosed();
    },
    60_000,
  );

  test.each(paths)(
    "%s, left after one example",
    async (name) => {
      for (const open of [openExamples, openRecords, openRows] as const) {
        const opened = await open(join(folder, name), {}).catch(() => undefined);
        if (opened === undefined) continue;
        const stream =
          "rows" in opened ? opened.rows : "records" in opened ? opened.records : opened.examples;
        try {
          for await (const _ of stream as AsyncIterable<unknown>) break;
        } catch {}
      }
      // Opened and never read.
      await openExamples(join(folder, name)).catch(() => {});
      await expectClosed();
    },
    60_000,
  );
});

test.skipIf(!existsSync("/proc/self/fd"))(
  "a file that is being read is open: what is counted can be seen",
  async () => {
    const { examples } = await openExamples(join(folder, "table.csv"));
    const stream = examples[Symbol.asyncIterator]();
    await stream.next();
    expect(openFiles()).toEqual(["table.csv"]);
    await stream.return?.(undefined);
    await expectClosed();
  },
);
