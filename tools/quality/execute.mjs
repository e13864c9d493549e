/** One run of the grid: a process that trains and saves, whose time counts, and the answers for the test rows. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stringify } from "yaml";
import { ClassificationMetrics, SpanMetrics } from "../../dist/metrics/index.js";
import { root } from "../prepare.mjs";
import { referencePython } from "../reference/run.mjs";
import { withoutAnswer } from "./data.mjs";

/** What is kept of what a failed process said. */
const keptOfErrors = 2000;

/**
 * Runs a process.
 * @param hear called with each line of standard output, and the seconds since the start
 * @returns seconds from start to end
 */
function runTimed(command, args, hear, env = {}) {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const child = spawn(command, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors = (errors + text).slice(-keptOfErrors);
  });
  createInterface({ input: child.stdout }).on("line", (line) => hear(line, seconds()));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(seconds());
      else reject(new Error(`${args[0]} ended with ${signal ?? code}: ${errors.trim()}`));
    });
  });
}

/** Epochs that make about so many updates, within bounds. */
const epochsOf = ({ updates, fewest, most }, perEpoch) =>
  Math.min(most, Math.max(fewest, Math.round(updates / perEpoch)));

/** Sections of configurations put together; what comes later wins. */
function merged(...configs) {
  const all = {};
  for (const config of configs) {
    for (const [key, value] of Object.entries(config ?? {})) {
      all[key] = typeof value === "object" ? { ...all[key], ...value } : value;
    }
  }
  return all;
}

/** The configuration of a run of ours on rows in a folder. */
export function configOf({ contender, cell, seed, threads, folder, rows }) {
  const columns = {
    text: { text: "text", label: "label" },
    pair: { text: ["text", "pair"], label: "label" },
    tags: { tokens: "words", tags: "tags" },
  }[cell.kind];
  const own = {
    text: contender.configForText,
    pair: contender.configForPair,
    tags: contender.configForTags,
  }[cell.kind];
  const config = merged(
    {
      backbone: cell.backbone,
      data: { train: join(folder, "train.jsonl"), format: "jsonl", ...columns },
      task: { type: cell.kind === "tags" ? "token-classification" : "text-classification" },
      training: { seed },
      engine: { threads },
      report: { html: false, tensorboard: false },
    },
    contender.config,
    own,
  );
  if (contender.epochs === undefined) return config;
  const perEpoch = Math.ceil((rows * (1 - (config.data.devShare ?? 0))) / (config.training.batchSize ?? 32));
  return merged(config, { training: { epochs: epochsOf(contender.epochs, perEpoch) } });
}

async function runOurs(run) {
  const { folder, cell } = run;
  const program = join(root, "dist/bin/ptuning.js");
  const config = join(folder, "config.yaml");
  writeFileSync(config, stringify(configOf(run)));
  const output = join(folder, "run");
  const events = {};
  // The process also writes its run folder after the adapter: its whole time counts.
  const seconds = await runTimed(
    process.execPath,
    [program, "train", config, "--json", "--output", output],
    (line) => {
      const { type, ...event } = JSON.parse(line);
      events[type] = event;
    },
  );
  const { settings, inventory } = events.start;
  const answers = [];
  await runTimed(
    process.execPath,
    [program, "predict", output, "--input", join(folder, "test.jsonl"), "--json"],
    (line) => {
      const answer = JSON.parse(line);
      answers.push(cell.kind === "tags" ? answer.tags : answer.label);
    },
  );
  return {
    seconds,
    answers,
    facts: {
      trained: inventory.trainableTotal,
      tuned: Object.keys(inventory.trainable),
      settings: {
        precision: settings.precision,
        epochs: settings.epochs,
        learningRate: settings.learningRate,
      },
      bestStep: events.result.best?.step,
      versions: events.result.versions,
    },
  };
}

async function runRival(run) {
  const { folder, contender, cell, seed, precision, threads, backboneFolder } = run;
  const job = join(folder, "job.json");
  writeFileSync(
    job,
    JSON.stringify({
      backbone: backboneFolder,
      train: join(folder, "train.jsonl"),
      test: join(folder, "test.jsonl"),
      ...{ kind: cell.kind, output: folder, seed, precision, threads, settings: contender.settings },
    }),
  );
  let saved;
  await runTimed(
    referencePython(contender.environment),
    [join(root, "tools/quality", contender.program), job],
    (line, seconds) => {
      if (line.startsWith('{"saved"')) saved = { ...JSON.parse(line), seconds };
    },
    {
      HF_HUB_OFFLINE: "1",
      HF_DATASETS_CACHE: join(folder, "datasets"),
      TRANSFORMERS_VERBOSITY: "error",
      TOKENIZERS_PARALLELISM: "false",
      OMP_NUM_THREADS: String(threads),
    },
  );
  if (saved === undefined) throw new Error(`${contender.program} ended without having saved a model`);
  const { seconds, saved: _, torch, versions, ...facts } = saved;
  return {
    seconds,
    answers: JSON.parse(readFileSync(join(folder, "predictions.json"), "utf8")),
    facts: { ...facts, versions: { torch, ...versions } },
  };
}

/**
 * Scores answers, whoever gave them.
 * @param answers a label, or a tag for each word, per row
 * @returns a share: accuracy, or F1 of spans
 */
export function scoreOf(score, answers, rows) {
  if (answers.length !== rows.length) {
    throw new Error(`answers: expected ${rows.length}, one for each test row, got ${answers.length}`);
  }
  if (score === "f1") {
    const metrics = new SpanMetrics();
    for (const [i, { tags }] of rows.entries()) metrics.add(answers[i], tags);
    return metrics.result().f1;
  }
  const numbers = new Map(
    [...new Set([...answers, ...rows.map(({ label }) => label)])].map((l, i) => [l, i]),
  );
  const metrics = new ClassificationMetrics(numbers.size, { scores: [score] });
  for (const [i, { label }] of rows.entries()) metrics.add(numbers.get(answers[i]), numbers.get(label));
  return metrics.result()[score];
}

const jsonLines = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/**
 * Makes a run in a folder of its own, which goes afterwards.
 * @param run {contender, cell, seed, precision, threads, backboneFolder, train, test, folder}
 * @returns {score, seconds, facts}
 */
export async function execute({ train, test, ...given }) {
  const { folder, contender, cell } = given;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "train.jsonl"), jsonLines(train));
  writeFileSync(join(folder, "test.jsonl"), jsonLines(test.map(withoutAnswer)));
  const run = { ...given, rows: train.length };
  const { seconds, answers, facts } = await (contender.program ? runRival(run) : runOurs(run));
  const score = scoreOf(cell.score, answers, test);
  rmSync(folder, { recursive: true, force: true });
  return { score, seconds: Number(seconds.toFixed(2)), facts };
}
