#!/usr/bin/env node
/**
 * Makes what an earlier commit writes, for test/upgrades: node tools/upgrades/make.mjs COMMIT
 * The commit is checked out and built in a temporary folder, and its own command line trains on a tiny random backbone:
 * a finished run, an unfinished one, a fine-tuned model, several tasks on one prompt, a sweep and a comparison that
 * were stopped, and the jobs of a queue. Wherever a text holds the folder in which that happened it says @ROOT@
 * instead. Needs Redis (/usr/bin/redis-server).
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Queue } from "bullmq";
import { writeWordBert } from "../bert.mjs";
import { root as repository } from "../prepare.mjs";

const [commit] = process.argv.slice(2);
if (commit === undefined) {
  console.error("make: expected a commit.");
  process.exit(2);
}
const place = realpathSync(mkdtempSync(join(tmpdir(), "ptuning-upgrades-")));
const [checkout, root] = [join(place, "checkout"), join(place, "root")];
const git = (...args) => {
  const { status, stderr } = spawnSync("git", args, { cwd: repository, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
};

git("worktree", "add", "--detach", checkout, commit);
try {
  symlinkSync(join(repository, "node_modules"), join(checkout, "node_modules"));
  const tsc = join(repository, "node_modules/typescript/bin/tsc");
  const built = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: checkout });
  if (built.status !== 0) throw new Error(built.stdout.toString());
  mkdirSync(root);
  await make();
  const target = join(repository, "test/upgrades", commit);
  rmSync(target, { recursive: true, force: true });
  cpSync(root, target, { recursive: true });
} finally {
  git("worktree", "remove", "--force", checkout);
  rmSync(place, { recursive: true, force: true });
}

/** Starts the built command line. */
function start(args) {
  const env = { ...process.env, PTUNING_CACHE: join(place, "cache"), HF_HUB_OFFLINE: "1" };
  const child = spawn(process.execPath, [join(checkout, "dist/cli/main.js"), ...args], { cwd: root, env });
  child.text = "";
  child.errors = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    child.text += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    child.errors += text;
  });
  child.ended = once(child, "close");
  return child;
}

async function run(args, expected = 0) {
  const child = start(args);
  const [code] = await child.ended;
  if (code !== expected) throw new Error(`${args.join(" ")}: ended with ${code}: ${child.errors}`);
  return child.text;
}

/** Runs until `holds`, then sends a signal. */
async function stop(args, holds, signal = "SIGTERM") {
  const child = start(args);
  while (!holds(child)) {
    if (child.exitCode !== null) throw new Error(`${args.join(" ")}: ended early: ${child.errors}`);
    await delay(5);
  }
  child.kill(signal);
  await child.ended;
}

async function make() {
  const { encodeSafetensors } = await import(join(checkout, "dist/files/index.js"));
  const { Rng } = await import(join(checkout, "dist/core/index.js"));
  // 8 KB.
  writeWordBert(
    join(root, "tiny"),
    { rng: new Rng(1), encodeSafetensors },
    {
      ...{ model_type: "bert", vocab_size: 24, type_vocab_size: 2, max_position_embeddings: 32 },
      ...{ hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 16 },
    },
  );
  writeData(new Rng(2));
  const expected = {};
  const predict = async (adapter, ...more) =>
    JSON.parse(
      `[${(
        await run([
          ...["predict", adapter, "--backbone", "tiny", "--input", "texts.csv"],
          ...["--format", "jsonl", "--precision", "fp32", ...more],
        ])
      )
        .trim()
        .split("\n")
        .join(",")}]`,
    );

  await run(["train", "run.yaml", "-o", "finished", "--set", "report.state=true"]);
  expected.finished = await predict("finished");
  await run(["train", "run.yaml", "-o", "tuned", "--set", "method={name: fine-tuning}"]);
  expected.tuned = await predict("tuned");
  await run(["train", "several.yaml", "-o", "several"]);
  expected.several = await predict("several", "--head", "texts");

  const long = ["--set", "training.epochs=20", "--set", "training.checkpointSeconds=0.001"];
  const isAt = (step) => (child) => child.text.includes(`"step":${step},`);
  for (const [config, name] of [
    ["run.yaml", "unfinished"],
    ["several.yaml", "several-unfinished"],
  ]) {
    await stop(["train", config, "-o", name, "--json", ...long], isAt(7));
    cpSync(join(root, name), join(root, "aside"), { recursive: true });
    await run(["train", "--resume", name]);
    expected[name] = JSON.parse(readFileSync(join(root, name, "result.json"), "utf8")).best;
    rmSync(join(root, name), { recursive: true });
    cpSync(join(root, "aside"), join(root, name), { recursive: true });
    rmSync(join(root, "aside"), { recursive: true });
  }

  const grid = ["--grid", "training.learningRate=1e-2,3e-2", "--grid", "training.seed=1,2"];
  await run(["sweep", "run.yaml", ...grid, "--runs", "3", "--workers", "1", "-o", "sweep"]);
  const seeds = ["--preset", "length", "--values", "2,3", "--seeds", "1"];
  await stop(
    ["compare", "run.yaml", ...seeds, "--workers", "1", "-o", "comparison", "--json"],
    (child) => child.text.includes('"trial-done"') || child.text.includes('"done":1,'),
  );
  expected.jobs = await queueJobs(grid);

  // Pages and pictures are not read back; a lock is one of a process that is gone.
  for (const entry of readdirSync(root, { recursive: true }))
    if (/\.(html|svg|lock)$/.test(entry)) rmSync(join(root, entry));
  writeFileSync(join(root, "expected.json"), json(expected));
  writeFileSync(join(root, "trials.json"), json(trialIdentities()));
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith(".safetensors")) continue;
    const path = join(entry.parentPath, entry.name);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(root, "@ROOT@"));
  }
}

function json(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Texts whose label is one of their words, and sentences of which some words are names. */
function writeData(rng) {
  const wordsOf = () => Array.from({ length: 2 + rng.integer(4) }, () => `w${6 + rng.integer(12)}`);
  const text = () => {
    const label = rng.integer(3);
    const words = wordsOf();
    words.splice(rng.integer(words.length + 1), 0, `w${label}`);
    return [words.join(" "), `class ${label}`];
  };
  const table = (count) =>
    `text,label\n${Array.from({ length: count }, () => text().join(",")).join("\n")}\n`;
  const tagged = (count) =>
    Array.from({ length: count }, () => {
      const tokens = wordsOf();
      return `${JSON.stringify({ tokens, tags: tokens.map((word) => (Number(word.slice(1)) < 10 ? "B-NAME" : "O")) })}\n`;
    }).join("");
  const training = `training:
  epochs: 3
  batchSize: 8
  maxLength: 16
  learningRate: 0.03
  precision: fp32
  seed: 3
engine: { threads: 1 }
report: { html: false, tensorboard: false }
`;
  const files = {
    "train.csv": table(40),
    "test.csv": table(12),
    "tagged.jsonl": tagged(24),
    "texts.csv": `text\n${Array.from({ length: 8 }, () => `${text()[0]}\n`).join("")}`,
    "run.yaml": `backbone: tiny
data: { train: train.csv, test: test.csv }
method: { promptLength: 2 }
${training}`,
    "several.yaml": `backbone: tiny
tasks:
  texts: { data: { train: train.csv } }
  names: { data: { train: tagged.jsonl } }
method: { promptLength: 2 }
${training}`,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, name), content);
}

/** One job that is done and one that waits, as Redis has them; their sweep was killed. */
async function queueJobs(grid) {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const server = spawn("/usr/bin/redis-server", [
    ...["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", place],
  ]);
  const url = `redis://127.0.0.1:${port}`;
  const queue = new Queue("ptuning-trials", { connection: { url, maxRetriesPerRequest: null } });
  queue.on("error", () => {});
  try {
    await queue.waitUntilReady();
    const sweep = start(["sweep", "run.yaml", ...grid, "--queue", url, "--root", ".", "-o", "queued"]);
    while ((await queue.getWaitingCount()) < 4) await delay(20);
    sweep.kill("SIGKILL");
    await sweep.ended;
    const worker = start(["worker", "--queue", url, "--root", ".", "--workers", "1", "--threads", "1"]);
    while ((await queue.getCompletedCount()) < 1) await delay(5);
    worker.kill("SIGTERM");
    await worker.ended;
    const [completed] = await queue.getCompleted(0, 0);
    const [waiting] = await queue.getWaiting(0, 0);
    const plain = ({ id, name, data, returnvalue }) => ({ id, name, data, returnvalue });
    return { completed: plain(completed), waiting: plain(waiting) };
  } finally {
    await queue.close();
    const ended = once(server, "exit");
    server.kill();
    await ended;
  }
}

/** What the id of each trial is the hash of: it holds paths, so that elsewhere the ids are others. */
function trialIdentities() {
  const found = {};
  for (const entry of readdirSync(root, { recursive: true })) {
    const [, id] = /trials[/\\]([0-9a-f]{12})$/.exec(entry) ?? [];
    if (id === undefined || !existsSync(join(root, entry, "trial.yaml"))) continue;
    found[id] = identityOf(join(root, entry, "trial.yaml"), id);
  }
  return found;
}

function identityOf(path, id) {
  const script = `
    import { readFileSync } from "node:fs";
    import { parseConfig } from ${JSON.stringify(join(checkout, "dist/config/index.js"))};
    const { search, output, report, engine, ...decisive } = parseConfig({ text: readFileSync(${JSON.stringify(path)}, "utf8") });
    console.log(JSON.stringify(decisive, (_, inner) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  const text = stdout.trim();
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 12);
  if (hash !== id) throw new Error(`${path}: expected the id ${id}, got ${hash}.`);
  return text;
}
