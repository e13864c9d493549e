/**
 * 10,000 damaged files: whatever stands around them, untouched records are read unchanged; the rest is examples or one
 * of our errors, never a crash or a hang.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FormatName, formats, openExamples, type ReadOptions } from "ptuning/data";
import { PtuningError, Rng } from "ptuning/internal/core";
import { afterAll, describe, expect, test } from "vitest";
import { readGolden } from "../support/golden.ts";
import { isThorough } from "../support/requirements.ts";
import { type WrittenFormat, writeAll, writtenFormats } from "./written-formats.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-damaged-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const filesPerFormat = isThorough ? 360 : 40;

/** Damages the bytes of a record, its end not included. */
const damages: readonly ((bytes: Buffer, rng: Rng) => Buffer)[] = [
  // Cut off.
  (bytes, rng) => bytes.subarray(0, rng.integer(bytes.length + 1)),
  // Wrong quoting.
  (bytes, rng) => insert(bytes, rng, Buffer.from(['"', '""', "'", '\\"', '","'][rng.integer(5)]!)),
  // Byte order mark inside.
  (bytes, rng) => insert(bytes, rng, Buffer.from("\ufeff")),
  // Line ends inside.
  (bytes, rng) => insert(bytes, rng, Buffer.from(["\r", "\n", "\r\n", "\n\r"][rng.integer(4)]!)),
  // Random bytes in place of some, or of all.
  (bytes, rng) => insert(bytes, rng, randomBytes(rng, 1 + rng.integer(20))),
  (_, rng) => randomBytes(rng, rng.integer(80)),
  // Brackets, tabs, numbers.
  (bytes, rng) =>
    insert(
      bytes,
      rng,
      Buffer.from(["[", "]", "{", "}", "\t", " ", ",", ":", "\0", "-1", "1e999"][rng.integer(11)]!),
    ),
  // A byte is lost, or a stretch is there twice.
  (bytes, rng) => {
    const at = rng.integer(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
  },
  (bytes, rng) => insert(bytes, rng, bytes.subarray(rng.integer(bytes.length))),
];

function insert(bytes: Buffer, rng: Rng, what: Buffer): Buffer {
  const at = rng.integer(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)]);
}

function randomBytes(rng: Rng, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => rng.integer(256)));
}

/** What is read before the end or an error, as texts without line numbers. */
async function readAll(path: string, options: ReadOptions): Promise<{ read: string[]; error: unknown }> {
  const read: string[] = [];
  try {
    const opened = await openExamples(path, options as ReadOptions & { kind: "text" });
    for await (const example of opened.examples) read.push(comparable(example));
    opened.sha256();
    opened.warnings();
    return { read, error: undefined };
  } catch (error) {
    return { read, error };
  }
}

/** Groups that are line numbers move with the damage, and one label may become one of several. */
function comparable(example: object): string {
  const { line, labels, ...others } = example as { line?: number; group?: string; labels?: string[] };
  const single = labels?.length === 1 ? { label: labels[0] } : labels && { labels };
  const rest = { ...others, ...single };
  const sorted = Object.entries(rest).filter(
    ([key, value]) => key !== "group" || !/^line /.test(String(value)),
  );
  return JSON.stringify(Object.fromEntries(sorted.sort(([a], [b]) => (a < b ? -1 : 1))));
}

function isSubsequence(wanted: readonly string[], list: readonly string[]): boolean {
  let at = 0;
  for (const item of list) if (item === wanted[at]) at++;
  return at === wanted.length;
}

function expectOurs(error: unknown): void {
  if (error === undefined) return;
  if (!(error instanceof PtuningError)) throw error;
  expect(error.message).toContain(folder);
  expect(error.code).toBe("DATA_INVALID");
}

async function tryOnce(name: FormatName, format: WrittenFormat, seed: number): Promise<void> {
  const rng = new Rng(seed, name);
  const records = Array.from({ length: 1 + rng.integer(7) }, (_, i) => format.record(rng, i));
  const path = join(folder, `${name}-${seed}`);
  const options: ReadOptions = { ...format.options, kind: format.kind, format: name };
  const ends = rng.integer(2) === 0 ? ["\n"] : ["\n", "\r\n"];
  const isDamaged = records.map(() => rng.integer(3) === 0);
  const texts = records.map(({ text }, i) => {
    if (!isDamaged[i]) return text;
    const bytes = damages[rng.integer(damages.length)]!(Buffer.from(text), rng);
    // Parallel files: the number of lines stays, or nothing would be parallel.
    const latin = bytes.toString("latin1");
    return format.files ? `${latin.replace(/[\r\n]/g, "?")}\n?\n?` : latin;
  });
  // Latin-1 carries the damaged bytes through the joining.
  const whole = writeAll(
    format,
    texts.map((text, i) => (isDamaged[i] ? text : Buffer.from(text).toString("latin1"))),
    () => ends[rng.integer(ends.length)]!,
  ).map((text) => Buffer.from(text, "latin1"));
  const bytes = whole.map((one) =>
    rng.integer(6) === 0 ? Buffer.concat([Buffer.from("\ufeff"), one]) : one,
  );
  if (format.files === undefined) writeFileSync(path, bytes[0]!);
  else {
    mkdirSync(path);
    for (const [i, file] of format.files.entries()) writeFileSync(join(path, file), bytes[i]!);
  }
  const firstDamage = isDamaged.indexOf(true);
  const survivesAll = format.survives === "all";
  const wanted = records
    .filter((_, i) => !isDamaged[i] && (survivesAll || firstDamage < 0 || i < firstDamage))
    .flatMap(({ examples }) => examples.map(comparable));
  const tolerant = await readAll(path, { ...options, damaged: "skip" });
  expectOurs(tolerant.error);
  const seen = `seed ${seed}: wanted\n${wanted.join("\n")}\ngot\n${tolerant.read.join("\n")}\n${tolerant.error}`;
  expect(isSubsequence(wanted, tolerant.read), seen).toBe(true);
  const strict = await readAll(path, options);
  expectOurs(strict.error);
  if (!isDamaged.includes(true) && !format.endsOdd) expect(strict.error).toBeUndefined();
  if (strict.error === undefined && bytes.some((one) => one.length > 0)) {
    expect(isSubsequence(wanted, strict.read)).toBe(true);
  }
  rmSync(path, { recursive: true });
}

describe.concurrent("damaged files", () => {
  for (const [name, format] of Object.entries(writtenFormats) as [FormatName, WrittenFormat][]) {
    test(name, { timeout: 120_000 }, async () => {
      for (let seed = 0; seed < filesPerFormat; seed++) await tryOnce(name, format, seed);
    });
  }

  test("parquet", { timeout: 120_000 }, async () => {
    // Three row groups of four rows: what is damaged in one does not touch the others.
    const fixture = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname;
    const whole = readFileSync(fixture("groups.parquet"));
    const options: ReadOptions = { kind: "text", text: "text", label: "label" };
    const path = join(folder, "damaged.parquet");
    const whenWhole = (await readAll(fixture("groups.parquet"), options)).read;
    expect(whenWhole.length).toBe(12);
    const { groups } = readGolden<{ groups: [number, number][] }>("parquet.json");
    for (let seed = 0; seed < filesPerFormat; seed++) {
      const rng = new Rng(seed, "parquet");
      const from = 4 + rng.integer(whole.length - 4);
      const random = randomBytes(rng, 1 + rng.integer(12));
      const overwritten = Buffer.from(whole);
      random.copy(overwritten, from);
      const bytes = [overwritten, whole.subarray(0, from), insert(whole, rng, random)][seed % 3]!;
      writeFileSync(path, bytes);
      const wanted = groups.flatMap(([start, end], i) => {
        const isTouched = from < end && from + random.length > start;
        return isTouched ? [] : whenWhole.slice(4 * i, 4 * i + 4);
      });
      const tolerant = await readAll(path, { ...options, damaged: "skip" });
      expectOurs(tolerant.error);
      expectOurs((await readAll(path, options)).error);
      const isInRows = seed % 3 === 0 && from + random.length <= groups[2]![1];
      if (isInRows) expect(isSubsequence(wanted, tolerant.read)).toBe(true);
    }
  });

  test("the table of formats is complete", () => {
    expect([...Object.keys(writtenFormats), "parquet"].sort()).toEqual(Object.keys(formats).sort());
    expect(filesPerFormat * Object.keys(formats).length).toBeGreaterThanOrEqual(isThorough ? 10_000 : 1000);
  });
});
