/**
 * Files of a million short rows: checking them, reading them for training and answering them, from a file and from standard
 * input, in every format. Each command runs in a process of its own; its peak memory is held against that on 20,000
 * rows (small: 20,000 against 2,000), and the first answer against two seconds. It throws where a command does not end well or
 * rows are missing; the other bars that are missed are listed in `missed`.
 */
import { spawn } from "node:child_process";
import { createReadStream, createWriteStream, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { scratch } from "../scratch.mjs";
import { tinyCsv, writeTinyBackbone } from "./support/tiny.mjs";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** At its end a process says how much memory it had at most; the figure of `getrusage` includes its parent's. */
const preload = `data:text/javascript,${encodeURIComponent(`
import { readFileSync, writeFileSync } from "node:fs";
process.on("exit", () => writeFileSync(process.env.PEAK_FILE, /VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]));
`)}`;

const bars = {
  small: { rows: [2000, 20_000], peakRatio: 1.5, firstAnswerSeconds: 10 },
  full: { rows: [20_000, 1_000_000], peakRatio: 1.3, firstAnswerSeconds: 2 },
};

/** Rows of two words, all different, of three labels. */
const forms = {
  csv: { head: "text,label\n", row: (i) => `w${i % 3} n${i},class ${i % 3}\n` },
  jsonl: { head: "", row: (i) => `{"text":"w${i % 3} n${i}","label":"class ${i % 3}"}\n` },
  txt: { head: "", row: (i) => `w${i % 3} n${i}\n` },
};

/** @returns the file's path */
async function writeRows(folder, form, count) {
  const path = join(folder, `${count}.${form}`);
  const { head, row } = forms[form];
  function* pages() {
    yield head;
    for (let i = 0; i < count; i += 1000) {
      yield Array.from({ length: Math.min(1000, count - i) }, (_, n) => row(i + n)).join("");
    }
  }
  await pipeline(Readable.from(pages()), createWriteStream(path));
  return path;
}

/** What is run: its arguments, what it reads and how many lines it must write for so many rows. */
function commands(tiny, adapter) {
  const predict = ["predict", adapter, "--backbone", tiny, "--threads", "1", "--precision", "fp32"];
  const check = (path) => ["check-data", path, "--backbone", tiny];
  const asFile = (format) => (path) => [...predict, "--input", path, "--format", format];
  return [
    { name: "predict csv", form: "csv", args: asFile("csv"), lines: (rows) => rows + 1 },
    { name: "predict jsonl", form: "jsonl", args: asFile("jsonl"), lines: (rows) => rows },
    { name: "predict table", form: "csv", args: asFile("table"), lines: (rows) => rows },
    {
      name: "predict stdin",
      form: "txt",
      args: () => [...predict, "--format", "jsonl"],
      piped: true,
      lines: (rows) => rows,
    },
    { name: "check-data", form: "csv", args: check },
    { name: "check-data jsonl", form: "jsonl", args: check },
    {
      name: "train --dry-run",
      form: "csv",
      args: (path) => ["train", path, "--backbone", tiny, "--threads", "1", "--dry-run"],
    },
  ];
}

/** Runs a command to its end. */
async function measure(args, { folder, stdin }) {
  const peakFile = join(folder, "peak");
  const started = performance.now();
  const child = spawn(process.execPath, ["--import", preload, main, ...args], {
    env: { ...process.env, PEAK_FILE: peakFile },
    cwd: folder,
  });
  if (stdin) createReadStream(stdin).pipe(child.stdin);
  else child.stdin.end();
  let [lines, errors, first] = [0, "", undefined];
  child.stdout.on("data", (chunk) => {
    first ??= performance.now() - started;
    for (const byte of chunk) if (byte === 0x0a) lines++;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors = (errors + text).slice(-2000);
  });
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on("error", reject).on("close", (...end) => resolve(end));
  });
  if (code !== 0) throw new Error(`${args[0]}: expected to end well, got ${code ?? signal}: ${errors}`);
  return {
    seconds: round((performance.now() - started) / 1000),
    firstSeconds: round(first / 1000),
    peakMB: Math.round(Number(readFileSync(peakFile, "utf8")) / 1024),
    lines,
  };
}

const round = (value) => Number(value.toPrecision(3));

/** @param {{ size: "small" | "full", only?: string }} options */
export async function prove({ size, only = "" }) {
  const { rows: counts, peakRatio, firstAnswerSeconds } = bars[size];
  const folder = await scratch("scale");
  try {
    const tiny = writeTinyBackbone(join(folder, "tiny"));
    const run = join(folder, "run");
    const data = join(folder, "train.csv");
    writeFileSync(data, tinyCsv(60, 1));
    const training = ["--precision", "fp32", "--epochs", "1", "--batch-size", "16", "--prompt-length", "3"];
    await measure(
      ["train", data, "--backbone", tiny, "--threads", "1", ...training, "--max-length", "16", "-o", run],
      { folder },
    );
    const missed = [];
    const figures = {};
    for (const { name, form, args, piped, lines } of commands(tiny, join(run, "adapter"))) {
      if (!name.includes(only)) continue;
      const measured = [];
      for (const count of counts) {
        const path = await writeRows(folder, form, count);
        const found = await measure(args(path), { folder, ...(piped && { stdin: path }) });
        rmSync(path);
        measured.push(found);
        if (lines === undefined) continue;
        // A table has lines of its own beside those of its rows.
        if (found.lines < lines(count)) throw new Error(`${name}: ${found.lines} lines for ${count} rows.`);
        if (found.firstSeconds > firstAnswerSeconds) {
          missed.push(`${name}: ${found.firstSeconds} s to the first answer of ${count} rows`);
        }
      }
      const ratio = round(measured[1].peakMB / measured[0].peakMB);
      if (ratio > peakRatio) missed.push(`${name}: ${ratio} times the memory`);
      const [few, many] = measured.map(({ lines: _, firstSeconds, ...rest }) =>
        lines === undefined ? rest : { ...rest, firstSeconds },
      );
      figures[name] = { few, many, ratio };
    }
    return { rows: counts, bars: { peakRatio, firstAnswerSeconds }, figures, missed };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
