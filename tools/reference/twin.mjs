#!/usr/bin/env node
/**
 * The twin run: our training beside that of an independent implementation, from the same tensors on the same batches,
 * preset peft, the method's own learning rate and weight decay, dropout 0, fp32. The other is PEFT where it can do the
 * task with the method, else plain PyTorch (prefix_bert.py).
 *   node tools/reference/twin.mjs SET [steps] [backbone] [maxLength] [method] [dtype] [learningRate]
 * SET is one of twin-sets.mjs, the backbone also tiny-roberta, a random one, the dtype that of the other half: float64
 * where its own rounding would grow; the rate is the method's own, or one at which rounding does not grow. Prints one JSON line (with --record also appends it to results/twins.jsonl): how far
 * the first 50 losses differ, and on how many dev rows (texts, words, questions) the predictions agree.
 */
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeMachine, nodeEngine } from "ptuning/engine";
import { peftForm } from "ptuning/internal/adapters";
import { loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { methodDefaults, methodFrom } from "ptuning/internal/methods";
import { initializeParams, missingWeights } from "ptuning/internal/model";
import { createPredictor } from "ptuning/internal/predict";
import {
  forwardBatches,
  itemCount,
  itemRows,
  padBatch,
  shuffledBatches,
  tokenCount,
} from "ptuning/internal/text";
import { train } from "ptuning/internal/train";
import { commit } from "../origin.mjs";
import { scratch } from "../scratch.mjs";
import { runReference } from "./run.mjs";
import { sets } from "./twin-sets.mjs";

// [S, B] of ours → [B, S] of theirs.
const transposed = ({ shape: [S, B], data: values }) => ({
  dtype: "int32",
  shape: [B, S],
  data: Int32Array.from({ length: S * B }, (_, i) => values[(i % S) * B + Math.floor(i / S)]),
});

/** Some sequences, and what is known of them, as tensors for the other half. */
export function dumpBatch(backbone, set, rows, name, answersOf = () => ({})) {
  const batch = padBatch(set.sequences, rows, backbone.config.padTokenId);
  const tensors = {
    ids: transposed(batch.inputIds),
    types: transposed(batch.tokenTypeIds),
    mask: transposed(batch.attentionMask),
    ...answersOf(set, rows, batch.length),
  };
  return Object.fromEntries(Object.entries(tensors).map(([part, tensor]) => [`${name}.${part}`, tensor]));
}

/** What the other half's logits of the dev batches say. */
export async function decodeLogits(path, task, dev, devBatches) {
  const { tensors } = await readSafetensors(path);
  const decoder = task.decoder(dev);
  for (const [i, rows] of devBatches.entries()) {
    // As long as the longest text, which is as far as the batch was padded.
    const length = Math.max(...rows.map((row) => tokenCount(dev.sequences, row)));
    decoder.add({ rows, length, logits: tensors[String(i)].data });
  }
  return decoder.finish();
}

/** How far two series of losses lie apart. */
export function compareLosses(ours, theirs) {
  const differences = ours.map((loss, i) => Math.abs(loss - theirs[i]));
  const first = differences.slice(0, 50);
  return {
    firstLosses: { count: first.length, greatestDifference: Math.max(...first) },
    allLosses: { greatestDifference: Math.max(...differences) },
    lastLoss: { ours: ours.at(-1), theirs: theirs.at(-1) },
  };
}

/** Whether PEFT computes a method and a head as we do. */
function peftHas(method, head, { config }) {
  return !("reason" in peftForm(method.deployed, head, config));
}

/** Runs both and compares. */
export async function twin(
  set,
  steps,
  {
    backbone: name = "minilm",
    maxLength: longest,
    method: kind = "p-tuning-v2",
    dtype = "float32",
    learningRate: rate,
    log = console.error,
  } = {},
) {
  const [promptLength, seed] = [20, 11];
  const { data, task, other, gold, answers, size } = await sets[set]();
  const [batchSize, maxLength] = [size[0], longest ?? size[1]];
  const folder = await scratch("twin");
  if (name === "tiny-roberta") await runReference("tiny_roberta.py", join(folder, name));
  const path = name === "tiny-roberta" ? join(folder, name) : name;
  const backbone = await loadBackbone(path, { engine: nodeEngine() });
  const hasPrompt = !["fine-tuning", "bitfit", "linear-probe", "lora"].includes(kind);
  const method = methodFrom(kind, hasPrompt ? { preset: "peft", promptLength } : {});
  const own = methodDefaults(method, [task.head]);
  const { learningRate, weightDecay = 0 } = { ...own, ...(rate && { learningRate: rate }) };
  const parts = { backbone, method, head: task.head };
  const frozen = missingWeights(parts, new Rng(seed, "frozen"));
  const params = await initializeParams({ ...parts, frozen }, new Rng(seed, "init"));
  const reference = other.reference === "peft" && peftHas(method, task.head, backbone) ? "peft" : "plain";
  const encoded = await task.encode(data.train, backbone.tokenizer, maxLength);
  const dev = await task.encode(data.dev, backbone.tokenizer, maxLength);

  const dump = (rows, set, name, answersOf) => dumpBatch(backbone, set, rows, name, answersOf);
  const stepsPerEpoch = Math.ceil(itemCount(encoded) / batchSize);
  const epochs = Math.ceil(steps / stepsPerEpoch);
  const order = Array.from({ length: epochs }, (_, epoch) =>
    shuffledBatches(encoded, batchSize, new Rng(seed, "batches", epoch)),
  ).flat();
  const devBatches = forwardBatches(dev.sequences, maxLength).map(({ rows }) => rows);
  try {
    const rates = { learningRate, weightDecay, totalSteps: epochs * stepsPerEpoch };
    const sizes = {
      promptLength,
      pooling: task.head.options.pooling ?? "all",
      devBatches: devBatches.length,
    };
    const settings = {
      backbone: backbone.folder,
      method: kind,
      ...other,
      reference,
      dtype,
      ...sizes,
      ...rates,
      steps,
    };
    writeFileSync(join(folder, "twin.json"), JSON.stringify(settings));
    const write = (file, tensors) => writeFileSync(join(folder, file), encodeSafetensors(tensors));
    write("start.safetensors", params);
    write("frozen.safetensors", frozen);
    const batches = Object.assign(
      {},
      ...order
        .slice(0, steps)
        .map((items, step) => dump(itemRows(encoded, items), encoded, String(step), gold)),
    );
    write("batches.safetensors", batches);
    write("dev.safetensors", Object.assign({}, ...devBatches.map((rows, i) => dump(rows, dev, String(i)))));
    await runReference("twin.py", folder);
    const theirs = JSON.parse(readFileSync(join(folder, "theirs.json"), "utf8"));
    const theirPredictions = await decodeLogits(join(folder, "logits.safetensors"), task, dev, devBatches);

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
      seed,
      epochs,
      learningRate,
      headLearningRate: learningRate,
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
    const [ours, others] = [predictions, theirPredictions].map((list) => list.flatMap(answers));
    const agree = ours.filter((answer, i) => answer === others[i]).length;
    return {
      set,
      reference,
      ...(dtype !== "float32" && { dtype }),
      backbone: name,
      method: kind,
      learningRate,
      steps,
      ...compareLosses(losses, theirs.losses),
      dev: { rows: ours.length, agreement: agree / ours.length },
    };
  } finally {
    rmSync(folder, { recursive: true });
    await backbone.close();
  }
}

/** Runs a twin from the command line: prints its row, with what a committed one must say beside its figures. */
export async function report(script, run) {
  const args = process.argv.slice(2).filter((arg) => arg !== "--record");
  const row = { ...(await run(...args)), ...origin(script, args) };
  console.log(JSON.stringify(row));
  if (process.argv.includes("--record"))
    appendFileSync(new URL("../../results/twins.jsonl", import.meta.url), `${JSON.stringify(row)}\n`);
}

function origin(script, args) {
  const reference = readFileSync(new URL("./requirements.txt", import.meta.url), "utf8").match(
    /^(torch|transformers|peft)==.*$/gm,
  );
  return {
    command: `node tools/reference/${script} ${args.join(" ")}`,
    seed: 11,
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
    versions: { node: process.versions.node, reference },
    hardware: describeMachine(),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await report("twin.mjs", (set = "trec", steps = "200", backbone, maxLength, method, dtype, rate) =>
    twin(set, Number(steps), {
      ...(backbone && { backbone }),
      ...(maxLength && { maxLength: Number(maxLength) }),
      ...(method && { method }),
      ...(dtype && { dtype }),
      ...(rate && { learningRate: Number(rate) }),
    }),
  );
}
