/**
 * GLM 2B and 10B learn within the memory of a laptop: 4 GB and 16 GB. A checkpoint of that size with random weights, as
 * `torch.save` writes it in fp16 (3.8 and 19.8 GB), is converted to int4, takes a training step (S 128, B 1, P 20 at every
 * layer), and the adapter, saved and loaded, answers a text: all in one process, whose greatest resident memory is held
 * against the bar. Pages of the weights' file are resident too; what is of no file is given beside (`anonymousBytes`).
 * After that the forward half of the step runs alone, and one matrix in each of the ways in which it is multiplied.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../prepare.mjs";
import { referencePython } from "../reference/run.mjs";
import { scratch } from "../scratch.mjs";
import { writeGlm } from "./support/glm.mjs";
import { inOwnProcess, internals } from "./support/part.mjs";

const self = fileURLToPath(import.meta.url);

const sizes = {
  tiny: {
    num_layers: 3,
    hidden_size: 64,
    num_attention_heads: 4,
    vocab_size: 300,
    max_sequence_length: 256,
  },
  "2B": { num_layers: 36, hidden_size: 2048, num_attention_heads: 32 },
  "10B": { num_layers: 48, hidden_size: 4096, num_attention_heads: 64 },
};
/** Greatest resident bytes. */
const bars = { tiny: 1e9, "2B": 4e9, "10B": 16e9 };
const length = 128;
const promptLength = 20;

/** @param {{ size: "full" | "small", only?: readonly string[] }} options */
export async function prove({ size, only }) {
  const names = size === "small" ? ["tiny"] : (only ?? ["2B", "10B"]);
  const figures = {};
  for (const name of names) {
    const folder = await scratch(`glm-${name}`, join(root, ".cache"));
    try {
      figures[name] = await proveOne(name, folder);
      // The next size takes long.
      if (size === "full") console.error(`${name}: ${JSON.stringify(figures[name])}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return { length, batchSize: 1, promptLength, bars, figures };
}

async function proveOne(name, folder) {
  const checkpoint = join(folder, `glm-${name}`);
  mkdirSync(checkpoint);
  writeGlm(checkpoint, sizes[name]);
  const script = join(root, "tools/reference/glm_checkpoint.py");
  const made = spawnSync(referencePython(), [script, checkpoint], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(made.stderr);
  const weights = join(checkpoint, "pytorch_model.bin");
  const fileBytes = statSync(weights).size;
  const env = { ...process.env, PTUNING_CACHE: join(folder, "cache") };
  // All that a user does.
  const figures = await inOwnProcess(self, ["learn", checkpoint], { what: checkpoint, env });
  const { peakBytes } = figures.predict;
  if (peakBytes > bars[name])
    throw new Error(
      `${name}: expected at most ${bars[name]} resident bytes, got ${JSON.stringify(figures)}.`,
    );
  return { ...JSON.parse(made.stdout), fileBytes, ...figures };
}

const seconds = async (work) => {
  const started = performance.now();
  const result = await work();
  return [(performance.now() - started) / 1000, result];
};

const statusBytes = (key) =>
  1024 * Number(new RegExp(`${key}:\\s*(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))[1]);

/** The greatest anonymous memory so far, looked at ten times a second. */
let anonymous = 0;
const look = () => {
  anonymous = Math.max(anonymous, statusBytes("RssAnon"));
};
const peaks = () => {
  look();
  return { peakBytes: statusBytes("VmHWM"), anonymousBytes: anonymous };
};

const text = (i) => String.fromCharCode(97 + i).repeat(length);
const labels = ["yes", "no"];
const lastMatrix = "transformer.layers.0.mlp.dense_4h_to_h.weight";

async function runLearn(checkpoint) {
  const p = await internals(
    ...["adapters", "backbones", "core", "engine", "graph", "methods"],
    ...["model", "nn", "predict", "tasks", "text", "train"],
  );
  setInterval(look, 100).unref();
  const [openSeconds, backbone] = await seconds(() => p.loadBackbone(checkpoint, { engine: p.nodeEngine() }));
  const [convertSeconds, converted] = await seconds(() => p.withPrecision(backbone, "int4"));
  const int4Bytes = converted.weights.get(`${lastMatrix}.int4`).source.size;
  const convert = { seconds: convertSeconds, ...peaks() };
  const run = p.train({
    backbone,
    task: p.sequenceClassification({ labels }),
    data: {
      ...{ train: [{ text: text(0), label: "yes" }], dev: [], test: [], labels, warnings: [] },
      fingerprint: "sha256:glm",
    },
    ...{ method: p.deepPrompt({ promptLength }), precision: "int4" },
    ...{ epochs: 1, batchSize: 1, maxLength: length, learningRate: 1e-3, seed: 3, checkpointSeconds: 1e9 },
  });
  const [runSeconds, { step, adapter }] = await seconds(async () => {
    const found = {};
    for await (const event of run) {
      if (event.type === "step") found.step = event;
      if (event.type === "done") found.adapter = event.adapter;
    }
    return found;
  });
  if (step.tokens !== length || !(step.gradientNorm > 0))
    throw new Error(`step: expected ${length} tokens and a gradient, got ${JSON.stringify(step)}`);
  const train = { seconds: runSeconds, stepSeconds: step.seconds, ...peaks() };
  const path = join(checkpoint, "../adapter");
  await adapter.save(path);
  const predictor = await p.createPredictor(await p.loadAdapter(path), backbone, { precision: "int4" });
  const [predictSeconds, [answer]] = await seconds(() => predictor.predict([{ text: text(2) }]));
  if (!labels.includes(answer.label)) throw new Error(`expected a label, got ${JSON.stringify(answer)}`);
  const predict = { seconds: predictSeconds, ...peaks() };
  await predictor.close();
  const { forwardSeconds, matrix } = await directions(p, converted);
  await backbone.close();
  const backwardSeconds = step.seconds - forwardSeconds;
  return { openSeconds, int4Bytes, convert, train, predict, forwardSeconds, backwardSeconds, matrix };
}

/** The loss without its gradients, and a matrix by itself. */
async function directions(p, backbone) {
  const task = p.sequenceClassification({ labels });
  const parts = { backbone, method: p.deepPrompt({ promptLength }), head: task.head };
  const params = await p.initializeParams(parts, new p.Rng(1), labels);
  const encoded = await task.encode([{ text: text(0), label: "yes" }], backbone.tokenizer, length);
  const batch = p.padBatch(encoded.sequences, [0], backbone.config.padTokenId);
  const feeds = {
    ...p.batchFeeds(batch),
    ...task.targets(encoded, { rows: Int32Array.of(0), length: batch.length }),
    ...params,
    [p.lossScaleInput]: p.floats([], [1]),
  };
  const leastSeconds = async (runs, graph, given) => {
    const session = await backbone.engine.compile(graph, { prepack: true });
    const taken = [];
    for (let i = 0; i < runs; i++) taken.push((await seconds(() => session.run(given)))[0]);
    await session.release();
    return Math.min(...taken);
  };
  const { graph } = p.trainingGraph(parts, task, params, { hidden: 0, attention: 0 });
  const forwardSeconds = await leastSeconds(
    1,
    { ...graph, outputs: new Map([["loss", graph.outputs.get("loss")]]) },
    feeds,
  );

  const [rows, blocks] = backbone.weights.get(`${lastMatrix}.int4`).shape;
  const columns = 32 * blocks;
  const name = lastMatrix.replace(/\.weight$/, "");
  const x = p.floats([length, columns], new Float32Array(length * columns).fill(0.1));
  const product = (batchInvariant) => {
    const b = new p.GraphBuilder("product");
    const ctx = {
      ...{ b, dropout: undefined, batchInvariant, isFrozen: () => true },
      hasWeight: (weight) => backbone.weights.has(weight),
      weight: (weight) => b.initializer(weight, backbone.weights.get(weight)),
    };
    const value = p.linear(ctx, b.input("x", "float32", ["N", columns]), name, rows);
    b.output("y", value);
    return leastSeconds(5, b.build(), { x });
  };
  const matrix = {
    shape: [rows, columns],
    packedSeconds: await product(false),
    dequantizedSeconds: await product(true),
  };
  return { forwardSeconds, matrix };
}

if (process.argv[1] === self && process.argv[2] === "learn") {
  process.send(await runLearn(process.argv[3]));
  process.disconnect();
}
