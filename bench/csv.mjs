/**
 * CSV to typed token arrays: readTable and the tokenizer, against Python `datasets` and fast tokenizers on the same
 * file. Each run is a process of its own; contenders take turns.
 *   node bench/csv.mjs                  the benchmark's own small run, without writing results
 *   node bench/csv.mjs --side FILE      our side of one run: prints a JSON line
 */
import { spawnSync } from "node:child_process";
import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readTable } from "ptuning/data";
import { locateBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { markdownTable } from "ptuning/internal/report";
import { openTokenizer } from "ptuning/internal/text";
import { root } from "../tools/prepare.mjs";

const maxLength = 128;
const self = fileURLToPath(import.meta.url);

/** Messages of about twenty words, all different, some quoted, four labels. */
async function writeRows(path, count) {
  const words = readFileSync(join(root, "examples/01-support-intents/train.csv"), "utf8").match(/[a-z]{3,}/g);
  const rng = new Rng(count);
  const file = createWriteStream(path);
  file.write("text,label\n");
  for (let i = 0; i < count; i++) {
    const list = Array.from({ length: 10 + rng.integer(20) }, () => words[rng.integer(words.length)]);
    const text = i % 4 === 0 ? `"${list.join(", ")}, ""${i}"""` : `${list.join(" ")} ${i}`;
    if (!file.write(`${text},label ${i % 4}\n`)) await new Promise((done) => file.once("drain", done));
  }
  await new Promise((done) => file.end(done));
}

/** Bytes of a line of /proc/self/status. */
function status(key) {
  return Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
}

/** Our side of one run. */
async function side(path, backbone) {
  const idleBytes = status("VmRSS");
  const started = performance.now();
  const data = await readTable(path, { text: "text", label: "label", devShare: 0 });
  const read = performance.now();
  const tokenizer = await openTokenizer(backbone);
  const texts = data.train.map(({ text }) => text);
  const { ids, typeIds, starts } = await tokenizer.encode(texts, maxLength);
  const ended = performance.now();
  return {
    seconds: (ended - started) / 1000,
    readSeconds: (read - started) / 1000,
    rows: texts.length,
    tokens: ids.length,
    checksum: ids.reduce((sum, id) => (sum + id) % 1_000_000_007, 0),
    arrayBytes: ids.byteLength + typeIds.byteLength + starts.byteLength,
    peakBytes: status("VmHWM") - idleBytes,
  };
}

/** An environment with what the Python side needs, made on first use. */
function python() {
  const folder = join(root, ".cache/bench-csv");
  const interpreter = join(folder, "bin/python");
  const ready = join(folder, "ready");
  const needs = readFileSync(join(root, "bench/requirements.txt"), "utf8");
  if (!existsSync(ready) || readFileSync(ready, "utf8") !== needs) {
    const run = (command, args) => {
      const { status: code } = spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
      if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed`);
    };
    run("python3", ["-m", "venv", folder]);
    run(interpreter, ["-m", "pip", "install", "--quiet", "-r", join(root, "bench/requirements.txt")]);
    writeFileSync(ready, needs);
  }
  return interpreter;
}

function runOnce(command, args) {
  const { stdout, status: code, stderr } = spawnSync(command, args, { encoding: "utf8", cwd: root });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

export async function measure({
  quick = false,
  count = quick ? 20_000 : 200_000,
  rounds = quick ? 1 : 3,
} = {}) {
  const folder = mkdtempSync(join(tmpdir(), "ptuning-csv-"));
  const { folder: backbone } = await locateBackbone("minilm", { offline: true });
  try {
    const path = join(folder, "rows.csv");
    await writeRows(path, count);
    const contenders = {
      ptuning: () => runOnce(process.execPath, [self, "--side", path, backbone]),
      "datasets, map": () => runOnce(python(), ["bench/datasets_csv.py", path, backbone, "map"]),
      "datasets, encode_batch": () => runOnce(python(), ["bench/datasets_csv.py", path, backbone, "batch"]),
    };
    python();
    const runs = [];
    for (let round = 0; round < rounds; round++) {
      const names = Object.keys(contenders);
      for (let i = 0; i < names.length; i++) {
        const name = names[(i + round) % names.length];
        runs.push({ name, round, ...contenders[name]() });
      }
    }
    const different = runs.find(
      ({ tokens, checksum }) => tokens !== runs[0].tokens || checksum !== runs[0].checksum,
    );
    if (different) throw new Error(`${different.name} has other tokens than ${runs[0].name}`);
    return { count, tokens: runs[0].tokens, runs };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function table({ count, tokens, runs }) {
  const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  const names = [...new Set(runs.map(({ name }) => name))];
  const of = (name, key) => middle(runs.filter((run) => run.name === name).map((run) => run[key]));
  const titles = [
    "",
    "seconds",
    "of it reading",
    "arrays, MB per million tokens",
    "peak, MB per million tokens",
  ];
  const cells = names.map((name) => [
    name,
    of(name, "seconds").toFixed(2),
    of(name, "readSeconds").toFixed(2),
    (of(name, "arrayBytes") / tokens).toFixed(1),
    (of(name, "peakBytes") / tokens).toFixed(1),
  ]);
  const best = (round) =>
    Math.min(
      ...runs.filter((run) => run.name !== "ptuning" && run.round === round).map(({ seconds }) => seconds),
    );
  const ratios = runs
    .filter(({ name }) => name === "ptuning")
    .map(({ round, seconds }) => best(round) / seconds);
  return [
    "## CSV to token arrays",
    `${count} rows, ${tokens} tokens, at most ${maxLength} per row; medians.`,
    markdownTable(
      titles.map((title) => ({ title })),
      cells,
    ),
    `Python's better by ours, in the same round: ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}.`,
  ].join("\n\n");
}

if (process.argv[1] === self) {
  const [flag, path, backbone] = process.argv.slice(2);
  if (flag === "--side") console.log(JSON.stringify(await side(path, backbone)));
  else console.log(table(await measure({ quick: true })));
}
