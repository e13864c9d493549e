/**
 * Processes that are killed while they replace a run, save adapters, end a download or make int8 weights: before each
 * of their first steps on the disk, and at random moments. What is there afterwards is the old or the new, whole; the
 * next run works, and leaves nothing else behind.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { loadAdapter } from "../../dist/adapters/index.js";
import {
  listCachedBackbones,
  loadBackbone,
  locateBackbone,
  withPrecision,
} from "../../dist/backbones/index.js";
import { Rng } from "../../dist/core/index.js";
import { nodeEngine } from "../../dist/engine/index.js";
import { readRunConfig, runStatus } from "../../dist/runs/index.js";
import { scratch } from "../scratch.mjs";
import { startHub } from "./support/hub.mjs";
import { tinyCsv, writeTinyBackbone } from "./support/tiny.mjs";

const dist = new URL("../../dist/", import.meta.url);
const preload = new URL("./support/disturb.mjs", import.meta.url).href;
const program = (text) => ["--input-type=module", "-e", text];
const from = (names, folder) =>
  `import { ${names} } from ${JSON.stringify(new URL(`${folder}/index.js`, dist).href)};\n`;

/** Every file of a folder with its content; names of folders too. */
function snapshot(folder) {
  const names = readdirSync(folder, { recursive: true }).sort();
  return Object.fromEntries(
    names.map((name) => {
      const path = join(folder, name);
      return [name, statSync(path).isFile() ? readFileSync(path, "latin1") : ""];
    }),
  );
}

const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);
/** Without the lock and what is not finished: both are the next run's to sweep. */
const visible = (files) =>
  Object.fromEntries(Object.entries(files).filter(([name]) => !/^\.|\.lock$/.test(name)));

/** Runs a process to its end. @returns whether it was killed */
async function end(child) {
  const { code, signal } = await child;
  assert.ok(signal === "SIGKILL" || code === 0, `expected a kill or an end, got code ${code}`);
  return signal === "SIGKILL";
}

function start(args, { env = {}, onSaid } = {}) {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", onSaid ? "pipe" : "ignore", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  if (onSaid) child.stdout.once("data", () => onSaid(child));
  return new Promise((resolve) =>
    child.on("close", (code, signal) => {
      if (code) console.error(errors);
      resolve({ code, signal });
    }),
  );
}

/**
 * Kills the work before its first steps, one after another, and at random moments.
 * @param work.args of the process; it says something when it begins
 * @param work.under steps on files below this folder count
 * @param work.spanMs within which random kills fall
 * @param work.prepare makes the state before
 * @param work.check what the kill has left
 * @param work.next the next run
 */
async function killAll(counts, rng, work) {
  const figures = { kills: 0, steps: 0, old: 0, new: 0, none: 0 };
  const judge = async () => {
    figures.kills++;
    figures[await work.check()]++;
    await work.next();
  };
  let last = Number.POSITIVE_INFINITY;
  for (let i = 0; i < counts.steps; ) {
    const at = 1 + ((i * counts.stride) % Math.min(last, counts.steps * counts.stride));
    await work.prepare();
    const env = { ...work.env, DISTURB_STEP: String(at), DISTURB_UNDER: work.under, DISTURB_BY: "SIGKILL" };
    if (await end(start(["--import", preload, ...work.args], { env }))) {
      await judge();
      figures.steps = Math.max(figures.steps, at);
      i++;
    } else {
      assert.ok(at > 1, "expected a step to be killed at");
      last = Math.min(last, at - 1);
      await work.next();
    }
  }
  for (let done = 0; done < counts.random; ) {
    await work.prepare();
    const onSaid = (child) => setTimeout(() => child.kill("SIGKILL"), rng.uniform() * work.spanMs);
    if (await end(start(work.args, { env: work.env, onSaid }))) {
      await judge();
      done++;
    } else await work.next();
  }
  return figures;
}

/** @param {{ size: "small" | "full" }} options */
export async function prove({ size }) {
  const folder = await scratch("kills");
  const cache = process.env.PTUNING_CACHE;
  const rng = new Rng(7);
  const counts = (steps, random, stride) =>
    size === "full" ? { steps: 60, random: 40, stride: 1 } : { steps, random, stride };
  try {
    const tiny = writeTinyBackbone(join(folder, "tiny"));
    const overwrite = await provedOverwrite(folder, tiny, counts(4, 2, 7), rng);
    const save = await provedSave(folder, counts(6, 4, 6), rng);
    const download = await provedDownload(folder, tiny, counts(6, 3, 5), rng);
    const int8 = await provedInt8(folder, tiny, counts(5, 3, 3), rng);
    return { overwrite, save, download, int8 };
  } finally {
    if (cache === undefined) delete process.env.PTUNING_CACHE;
    else process.env.PTUNING_CACHE = cache;
    rmSync(folder, { recursive: true });
  }
}

async function provedOverwrite(folder, tiny, counts, rng) {
  const data = join(folder, "train.csv");
  writeFileSync(data, tinyCsv(60, 1));
  const main = new URL("cli/main.js", dist).pathname;
  const run = join(folder, "run");
  const train = (output, seed) => [
    ...[main, "train", data, "--backbone", tiny, "--precision", "fp32", "--threads", "1", "--epochs", "1"],
    ...["--batch-size", "16", "--prompt-length", "3", "--max-length", "16", "--json"],
    ...["--seed", String(seed), "-o", output, "--overwrite"],
  ];
  const made = {};
  for (const seed of [1, 2]) {
    const place = join(folder, `seed-${seed}`);
    assert.equal((await start(train(place, seed))).code, 0);
    made[seed] = snapshot(place);
  }
  const weights = join("adapter", "adapter_model.safetensors");
  let state;
  return killAll(counts, rng, {
    args: train(run, 2),
    under: run,
    spanMs: 400,
    prepare() {
      rmSync(run, { recursive: true, force: true });
      cpSync(join(folder, "seed-1"), run, { recursive: true });
      writeFileSync(join(run, "notes.md"), "mine");
    },
    async check() {
      const { training } = await readRunConfig(run);
      const status = await runStatus(run);
      state = training.seed === 1 ? "old" : "new";
      if (state === "old") {
        assert.equal(status, "finished");
        const { "notes.md": notes, ...files } = visible(snapshot(run));
        assert.deepEqual(files, made[1]);
      } else if (status === "finished")
        assert.equal(readFileSync(join(run, weights), "latin1"), made[2][weights]);
      return state;
    },
    async next() {
      const isOpen = (await runStatus(run)) === "unfinished";
      const args = isOpen ? [main, "train", "--resume", run] : train(run, 2);
      assert.equal((await start(args)).code, 0, "expected the next run to work");
      assert.equal(readFileSync(join(run, weights), "latin1"), made[2][weights]);
      assert.equal(readFileSync(join(run, "notes.md"), "utf8"), "mine");
      const files = (all) => Object.keys(all).filter((name) => !name.startsWith("tensorboard"));
      assert.deepEqual(files(snapshot(run)), [...files(made[2]), "notes.md"].sort());
    },
  });
}

async function provedSave(folder, counts, rng) {
  const home = join(folder, "adapters");
  const place = join(home, "mine");
  const sources = [1, 2].map((seed) => join(folder, `seed-${seed}`, "adapter"));
  const adapters = await Promise.all(sources.map((source) => loadAdapter(source)));
  const whole = [];
  for (const [i, adapter] of adapters.entries()) {
    await adapter.save(join(folder, `saved-${i}`));
    whole.push(snapshot(join(folder, `saved-${i}`)));
  }
  const text =
    from("loadAdapter", "adapters") +
    `const all = await Promise.all(${JSON.stringify(sources)}.map((source) => loadAdapter(source)));
    console.log("begins");
    for (let i = 0; ; i++) await all[1 - (i % 2)].save(${JSON.stringify(place)});`;
  let hidden = 0;
  const figures = await killAll(counts, rng, {
    args: program(text),
    under: home,
    spanMs: 200,
    async prepare() {
      await adapters[0].save(place);
    },
    async check() {
      if (!existsSync(place)) hidden++;
      await loadAdapter(place);
      const there = snapshot(place);
      const which = whole.findIndex((one) => isSame(one, there));
      assert.ok(which >= 0, "expected one adapter or the other, whole");
      return which === 0 ? "old" : "new";
    },
    async next() {
      await adapters[1].save(place);
      assert.deepEqual(snapshot(place), whole[1]);
      assert.deepEqual(readdirSync(home), ["mine"]);
    },
  });
  return { ...figures, hidden };
}

async function provedDownload(folder, tiny, counts, rng) {
  const id = "someone/tiny";
  const files = {};
  for (const name of readdirSync(tiny)) files[name] = readFileSync(join(tiny, name));
  const hub = await startHub(id, files);
  const env = { PTUNING_CACHE: join(folder, "download"), HF_HOME: join(folder, "hf"), HF_ENDPOINT: hub.url };
  const home = join(env.PTUNING_CACHE, "backbones");
  const text =
    from("locateBackbone", "backbones") +
    `console.log("begins");
    await locateBackbone(${JSON.stringify(id)}, { env: ${JSON.stringify(env)} });`;
  const isWhole = (place) =>
    Object.entries(files).every(([name, bytes]) => readFileSync(join(place, name)).equals(bytes));
  try {
    return await killAll(counts, rng, {
      args: program(text),
      under: env.PTUNING_CACHE,
      spanMs: 150,
      prepare() {
        rmSync(env.PTUNING_CACHE, { recursive: true, force: true });
      },
      async check() {
        const [cached] = await listCachedBackbones(env);
        if (cached === undefined) return "none";
        assert.ok(isWhole(cached.folder), "expected a whole backbone");
        return "new";
      },
      async next() {
        const located = await locateBackbone(id, { env });
        assert.ok(isWhole(located.folder));
        assert.deepEqual(readdirSync(home), ["someone--tiny"]);
        const known = [...Object.keys(files), ".commit", "ptuning-source.json"].sort();
        assert.deepEqual(readdirSync(located.folder).sort(), known);
      },
    });
  } finally {
    await hub.close();
  }
}

async function provedInt8(folder, tiny, counts, rng) {
  const cacheOf = (name) => join(folder, name);
  const make = async (name) => {
    process.env.PTUNING_CACHE = cacheOf(name);
    const backbone = await loadBackbone(tiny, { engine: nodeEngine({ threads: 1 }) });
    await withPrecision(backbone, "int8");
    await backbone.close();
  };
  const quantized = (name) => {
    const place = join(cacheOf(name), "quantized");
    return existsSync(place) ? snapshot(place) : {};
  };
  await make("reference");
  const whole = quantized("reference");
  const weights = Object.keys(whole).filter((name) => name.endsWith("model.safetensors"));
  assert.equal(weights.length, 1);
  const text =
    from("loadBackbone, withPrecision", "backbones") +
    from("nodeEngine", "engine") +
    `const backbone = await loadBackbone(${JSON.stringify(tiny)}, { engine: nodeEngine({ threads: 1 }) });
    console.log("begins");
    await withPrecision(backbone, "int8");
    await backbone.close();`;
  const cache = cacheOf("int8");
  return killAll(counts, rng, {
    args: program(text),
    env: { PTUNING_CACHE: cache },
    under: join(cache, "quantized"),
    spanMs: 40,
    prepare() {
      rmSync(cache, { recursive: true, force: true });
      mkdirSync(cache);
    },
    check() {
      const there = quantized("int8")[weights[0]];
      if (there === undefined) return "none";
      assert.equal(there, whole[weights[0]], "expected whole weights");
      return "new";
    },
    async next() {
      await make("int8");
      assert.deepEqual(quantized("int8"), whole);
    },
  });
}
