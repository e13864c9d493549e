/**
 * Commands that are stopped by a signal at random moments, and whose disk, engine or engine's thread fails. Each ends by
 * itself; afterwards the run goes on to the same adapter, and nothing is left beside what an undisturbed command leaves.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Rng } from "../../dist/core/index.js";
import { runStatus } from "../../dist/runs/index.js";
import { scratch } from "../scratch.mjs";
import { tinyCsv, writeTinyBackbone } from "./support/tiny.mjs";

const main = new URL("../../dist/cli/main.js", import.meta.url).pathname;
const preload = new URL("./support/disturb.mjs", import.meta.url).href;
/** A command that takes longer hangs; undisturbed ones take one to three seconds. */
const hangMs = 60_000;
const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/** Runs a command to its end. @param disturb told the process when it has started */
function run(args, env, disturb = () => {}) {
  const started = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  disturb(child);
  return new Promise((resolve, reject) => {
    const hung = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`hangs: ${args.join(" ")}\n${errors}`));
    }, hangMs);
    child.on("close", (code, signal) => {
      clearTimeout(hung);
      resolve({ code, signal, errors, ms: performance.now() - started });
    });
  });
}

/** Names of all files below a folder. */
const filesOf = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.parentPath.includes("tensorboard"))
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
        .sort()
    : [];

export async function prove({ size }) {
  const folder = await scratch("aborts");
  const rng = new Rng(5);
  const [cache, temporary, runs] = ["cache", "tmp", "runs"].map((name) => join(folder, name));
  const env = { ...process.env, PTUNING_CACHE: cache, TMPDIR: temporary };
  try {
    for (const place of [cache, temporary, runs]) mkdirSync(place);
    const tiny = writeTinyBackbone(join(folder, "tiny"));
    const [data, dev] = ["train.csv", "dev.csv"].map((name) => join(folder, name));
    writeFileSync(data, tinyCsv(120, 1));
    writeFileSync(dev, tinyCsv(60, 2));
    const shared = ["--backbone", tiny, "--threads", "1"];
    const train = (output) => [
      ...[main, "train", data, ...shared, "--dev", dev, "--test", dev, "--baselines", "--epochs", "4"],
      ...["--batch-size", "8", "--prompt-length", "3", "--max-length", "16", "--json", "-o", output],
      ...["--set", "training.trunkCache=file", "--set", "method.promptLayers={last: 1}"],
    ];
    const reference = join(folder, "reference");
    const whole = await run(train(reference), env);
    assert.equal(whole.code, 0, whole.errors);
    const adapter = join("adapter", "adapter_model.safetensors");
    const weights = readFileSync(join(reference, adapter), "latin1");
    const expected = filesOf(reference);
    const answers = [
      [main, "predict", reference, "--input", dev, ...shared],
      [main, "evaluate", reference, dev, ...shared],
    ];
    // The hash of a file is kept once the file is some seconds old.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    for (const args of answers) assert.equal((await run(args, env)).code, 0);
    const cached = filesOf(cache);
    const place = join(runs, "run");

    /** What a disturbed training has left goes on to the same adapter. @returns how it went on */
    const goOn = async () => {
      const status = existsSync(join(place, "config.yaml")) ? await runStatus(place) : "none";
      const next =
        status === "unfinished" ? [main, "train", "--resume", place] : [...train(place), "--overwrite"];
      const { code, errors } = await run(next, env);
      assert.equal(code, 0, `expected the next run to work: ${errors}`);
      assert.equal(readFileSync(join(place, adapter), "latin1"), weights);
      assert.deepEqual(filesOf(place), expected);
      assert.deepEqual(readdirSync(runs), ["run"]);
      rmSync(place, { recursive: true });
      return status === "unfinished" ? "resumed" : status === "finished" ? "finished" : "anew";
    };
    const leavesNothing = () => {
      assert.deepEqual(filesOf(cache), cached);
      assert.deepEqual(filesOf(temporary), []);
    };
    const [aborts, failures] = size === "full" ? [200, 200] : [6, 10];
    const figures = {
      aborts: { count: 0, train: 0, others: 0, resumed: 0, anew: 0, finished: 0, slowestMs: 0 },
      failures: { count: 0, disk: 0, engine: 0, thread: 0, resumed: 0, anew: 0, finished: 0, unharmed: 0 },
      hangs: 0,
    };

    for (let i = 0; i < aborts; i++) {
      const signal = Object.keys(signals)[i % 3];
      const isTraining = i % 4 !== 3;
      const at = rng.uniform() * whole.ms;
      let sent = 0;
      const {
        code,
        signal: by,
        errors,
      } = await run(isTraining ? train(place) : answers[i % 2], env, (child) =>
        setTimeout(
          () => {
            sent = performance.now();
            child.kill(signal);
          },
          isTraining ? at : at / 2,
        ).unref(),
      );
      // A signal before the program has begun ends it as any other.
      assert.ok(by === signal || [0, signals[signal]].includes(code), `${signal}: code ${code}: ${errors}`);
      if (sent > 0)
        figures.aborts.slowestMs = Math.max(figures.aborts.slowestMs, Math.round(performance.now() - sent));
      figures.aborts.count++;
      if (isTraining) {
        figures.aborts.train++;
        figures.aborts[await goOn()]++;
      } else figures.aborts.others++;
      leavesNothing();
    }

    const kinds = {
      disk: () => ({
        DISTURB_BY: rng.integer(2) === 0 ? "EIO" : "ENOSPC",
        DISTURB_STEP: String(1 + rng.integer(120)),
        DISTURB_UNDER: runs,
      }),
      engine: () => ({ DISTURB_ENGINE: String(1 + rng.integer(80)) }),
      thread: () => ({ DISTURB_THREAD: String(Math.round(rng.uniform() * whole.ms)) }),
    };
    for (let i = 0; i < failures; i++) {
      const kind = ["disk", "engine", "disk", "thread", "engine"][i % 5];
      const { code, errors } = await run(["--import", preload, ...train(place)], {
        ...env,
        ...kinds[kind](),
      });
      assert.ok([0, 1].includes(code), `${kind}: code ${code}: ${errors}`);
      assert.doesNotMatch(errors, /please report it/);
      figures.failures.count++;
      figures.failures[kind]++;
      if (code === 0) figures.failures.unharmed++;
      figures.failures[await goOn()]++;
      leavesNothing();
    }
    return figures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
