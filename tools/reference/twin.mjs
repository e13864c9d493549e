#!/usr/bin/env node
/**
 * The twin run: our training beside PEFT's, from the same tensors on the same batches, preset peft, dropout 0, fp32.
 *   node tools/reference/twin.mjs trec|rte [steps] [backbone] [maxLength]
 * Prints one JSON line: how far the first 50 losses differ, and on how many dev rows the predictions agree.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { referenceTo, saveAdapter } from "ptuning/adapters";
import { loadBackbone } from "ptuning/backbones";
import { Rng } from "ptuning/core";
import { readTable } from "ptuning/data";
import { nodeEngine } from "ptuning/engine";
import { encodeSafetensors } from "ptuning/files";
import { deepPrompt } from "ptuning/methods";
import { initializeParams, missingWeights } from "ptuning/model";
import { createPredictor } from "ptuning/predict";
import { sequenceClassification } from "ptuning/tasks";
import { bucketedBatches, forwardBatches, padBatch } from "ptuning/text";
import { train } from "ptuning/train";
import { referencePython } from "./run.mjs";

const shared = fileURLToPath(new URL("../../../shared/data/", import.meta.url));
const sets = {
  trec: [`${shared}trec/train.txt`, { text: 1, labelPattern: "^(?<label>\\w+):\\S+ (?<text>.*)$" }],
  rte: [
    `${shared}superglue-rte/train.jsonl`,
    { text: ["premise", "hypothesis"], label: "label", dev: `${shared}superglue-rte/val.jsonl` },
  ],
};
/** Runs both and compares. */
export async function twin(
  set,
  steps,
  { backbone: name = "minilm", maxLength = 128, log = console.error } = {},
) {
  const [batchSize, promptLength, learningRate, seed] = [32, 20, 1e-2, 11];
  const data = await readTable(...sets[set]);
  const backbone = await loadBackbone(name, { engine: nodeEngine() });
  const task = sequenceClassification({ labels: data.labels, preset: "peft", headDropout: 0 });
  const method = deepPrompt({ preset: "peft", promptLength });
  const parts = { backbone, method, head: task.head };
  const params = initializeParams(parts, new Rng(seed, "init"));
  const frozen = missingWeights(parts, new Rng(seed, "frozen"));
  const encoded = await task.encode(data.train, backbone.tokenizer, maxLength);
  const dev = await task.encode(data.dev, backbone.tokenizer, maxLength);

  // [S, B] of ours → [B, S] of theirs.
  const transposed = ({ shape: [S, B], data: values }) => ({
    dtype: "int32",
    shape: [B, S],
    data: Int32Array.from({ length: S * B }, (_, i) => values[(i % S) * B + Math.floor(i / S)]),
  });
  const dump = (rows, set, name) => {
    const batch = padBatch(set.sequences, rows, backbone.config.padTokenId);
    const labels = Int32Array.from(rows, (row) => set.labels[row]);
    return {
      [`${name}.ids`]: transposed(batch.inputIds),
      [`${name}.types`]: transposed(batch.tokenTypeIds),
      [`${name}.mask`]: transposed(batch.attentionMask),
      [`${name}.labels`]: { dtype: "int32", shape: [rows.length], data: labels },
    };
  };
  const stepsPerEpoch = Math.ceil(encoded.sequences.count / batchSize);
  const epochs = Math.ceil(steps / stepsPerEpoch);
  const order = Array.from({ length: epochs }, (_, epoch) =>
    bucketedBatches(encoded, batchSize, new Rng(seed, "batches", epoch)),
  ).flat();
  const devBatches = forwardBatches(dev.sequences);
  const folder = mkdtempSync(join(tmpdir(), "ptuning-twin-"));
  try {
    const settings = { backbone: backbone.folder, numLabels: data.labels.length, promptLength, learningRate };
    const totalSteps = epochs * stepsPerEpoch;
    writeFileSync(
      join(folder, "twin.json"),
      JSON.stringify({ ...settings, steps, totalSteps, devBatches: devBatches.length }),
    );
    const provenance = { createdAt: "", versions: {} };
    const start = { task, method, params, frozen, backbone: referenceTo(backbone), maxLength, provenance };
    await saveAdapter(start, join(folder, "start"));
    const batches = Object.assign(
      {},
      ...order.slice(0, steps).map((rows, step) => dump(rows, encoded, String(step))),
    );
    writeFileSync(join(folder, "batches.safetensors"), encodeSafetensors(batches));
    writeFileSync(
      join(folder, "dev.safetensors"),
      encodeSafetensors(Object.assign({}, ...devBatches.map((rows, i) => dump(rows, dev, String(i))))),
    );
    const script = fileURLToPath(new URL("./twin.py", import.meta.url));
    const python = spawnSync(referencePython(), [script, folder], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error" },
    });
    if (python.status !== 0) throw new Error("the PEFT half failed");
    const theirs = JSON.parse(readFileSync(join(folder, "peft.json"), "utf8"));

    const losses = [];
    const stopping = new AbortController();
    let adapter;
    const options = {
      backbone,
      task,
      data: { ...data, dev: [] },
      method,
      batchSize,
      maxLength,
      learningRate,
      seed,
      epochs,
    };
    const exact = { hiddenDropout: 0, attentionDropout: 0, precision: "fp32" };
    for await (const event of train({ ...options, ...exact, signal: stopping.signal })) {
      if (event.type === "step") {
        losses.push(event.loss);
        if (event.step === steps) stopping.abort();
        if (event.step % 25 === 0) log(`ours step ${event.step}/${steps}`);
      }
      if (event.type === "done") adapter = event.adapter;
    }
    const predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
    const predictions = await predictor.predict(data.dev);
    await predictor.close();
    const inTheirOrder = devBatches.flatMap((rows) => [...rows]);
    const agree = inTheirOrder.filter(
      (row, i) => data.labels.indexOf(predictions[row].label) === theirs.predictions[i],
    );
    const differences = losses.slice(0, 50).map((loss, i) => Math.abs(loss - theirs.losses[i]));
    return {
      set,
      steps,
      firstLosses: { count: differences.length, greatestDifference: Math.max(...differences) },
      allLosses: {
        greatestDifference: Math.max(...losses.map((loss, i) => Math.abs(loss - theirs.losses[i]))),
      },
      dev: { rows: inTheirOrder.length, agreement: agree.length / inTheirOrder.length },
      lastLoss: { ours: losses.at(-1), peft: theirs.losses.at(-1) },
    };
  } finally {
    rmSync(folder, { recursive: true });
    await backbone.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [set = "trec", steps = "200", backbone, maxLength] = process.argv.slice(2);
  const options = { ...(backbone && { backbone }), ...(maxLength && { maxLength: Number(maxLength) }) };
  console.log(JSON.stringify(await twin(set, Number(steps), options)));
}
