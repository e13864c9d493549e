#!/usr/bin/env node
/**
 * The twin run of several tasks on one prompt: our training beside plain PyTorch, from the same tensors on the same
 * batches in the same order of tasks, dropout 0, weight decay, fp32. torch.optim.AdamW leaves alone what has no gradient,
 * which is what a head absent from a batch must be.
 *   node tools/reference/multi-twin.mjs [trec+conll04] [steps] [backbone] [maxLength]
 * Prints one JSON line (with --record also appends it to results/twins.jsonl), as twin.mjs does.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeEngine } from "ptuning/engine";
import { loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { encodeSafetensors } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import { initializeParams } from "ptuning/internal/model";
import { createPredictor } from "ptuning/internal/predict";
import { forwardBatches, itemCount, itemRows, shuffledBatches } from "ptuning/internal/text";
import { mixTasks, train } from "ptuning/internal/train";
import { scratch } from "../scratch.mjs";
import { runReference } from "./run.mjs";
import { compareLosses, decodeLogits, dumpBatch, report } from "./twin.mjs";
import { sets } from "./twin-sets.mjs";

/** Runs both and compares. @param names twin sets, joined by + */
export async function multiTwin(
  names,
  steps,
  { backbone: source = "minilm", maxLength = 64, log = console.error } = {},
) {
  const [promptLength, learningRate, weightDecay, batchSize, seed] = [20, 1e-2, 0.1, 16, 11];
  const sampling = { temperature: 2 };
  const backbone = await loadBackbone(source, { engine: nodeEngine() });
  const method = deepPrompt({ preset: "peft", promptLength });
  const parts = [];
  for (const name of names.split("+")) {
    const { data, task, other, gold, answers } = await sets[name]();
    const encode = (examples) => task.encode(examples, backbone.tokenizer, maxLength);
    const [encoded, dev] = [await encode(data.train), await encode(data.dev)];
    const rng = new Rng(seed, "init");
    const params = await initializeParams({ backbone, method, head: task.head, headName: name }, rng);
    const devBatches = forwardBatches(dev.sequences, maxLength).map(({ rows }) => rows);
    parts.push({ name, data, task, other, gold, answers, encoded, dev, devBatches, params });
  }
  const counts = parts.map(({ encoded }) => Math.ceil(itemCount(encoded) / batchSize));
  const mix = mixTasks(
    counts,
    sampling,
    counts.map(() => 1),
    new Rng(seed, "tasks"),
  );
  const epochs = Math.ceil(steps / mix.stepsPerEpoch);
  const batches = {};
  const order = [];
  for (let step = 0; step < steps; step++) {
    const { task: number, done } = mix.at(step);
    const { name, encoded, gold } = parts[number];
    const rng = new Rng(seed, "batches", name, Math.floor(done[number] / counts[number]));
    const items = shuffledBatches(encoded, batchSize, rng)[done[number] % counts[number]];
    Object.assign(batches, dumpBatch(backbone, encoded, itemRows(encoded, items), String(step), gold));
    order.push(name);
  }
  const folder = await scratch("twin");
  try {
    writeFileSync(
      join(folder, "twin.json"),
      JSON.stringify({
        ...{ backbone: backbone.folder, promptLength, learningRate, weightDecay, order },
        totalSteps: epochs * mix.stepsPerEpoch,
        tasks: Object.fromEntries(
          parts.map(({ name, other, task, devBatches }) => [
            name,
            { head: other.head, pooling: task.head.options.pooling ?? "all", devBatches: devBatches.length },
          ]),
        ),
      }),
    );
    const write = (file, tensors) => writeFileSync(join(folder, file), encodeSafetensors(tensors));
    write("start.safetensors", Object.assign({}, ...parts.map(({ params }) => params)));
    write("batches.safetensors", batches);
    for (const { name, dev, devBatches } of parts) {
      const dumped = devBatches.map((rows, i) => dumpBatch(backbone, dev, rows, String(i)));
      write(`dev-${name}.safetensors`, Object.assign({}, ...dumped));
    }
    await runReference("multi_twin.py", folder);
    const theirs = JSON.parse(readFileSync(join(folder, "theirs.json"), "utf8"));

    const losses = [];
    const stopping = new AbortController();
    let adapter;
    const tasks = parts.map(({ name, task, data }) => [name, { task, data: { ...data, dev: [] } }]);
    const settings = { batchSize, maxLength, learningRate, weightDecay, seed, epochs, sampling };
    const exact = { hiddenDropout: 0, attentionDropout: 0, precision: "fp32" };
    const options = { backbone, method, tasks: Object.fromEntries(tasks), ...settings, ...exact };
    for await (const event of train({ ...options, signal: stopping.signal })) {
      if (event.type === "step") {
        if (event.task !== order[losses.length]) throw new Error(`step ${event.step}: another task`);
        losses.push(event.loss);
        if (event.step === steps) stopping.abort();
        if (event.step % 25 === 0) log(`ours step ${event.step}/${steps}`);
      }
      if (event.type === "done") adapter = event.adapter;
    }
    let [rows, agree] = [0, 0];
    for (const { name, task, data, dev, devBatches, answers } of parts) {
      const predictor = await createPredictor(adapter.head(name), backbone, { precision: "fp32" });
      const ours = (await predictor.predict(data.dev)).flatMap(answers);
      await predictor.close();
      const path = join(folder, `logits-${name}.safetensors`);
      const others = (await decodeLogits(path, task, dev, devBatches)).flatMap(answers);
      rows += ours.length;
      agree += ours.filter((answer, i) => answer === others[i]).length;
    }
    return {
      set: names,
      reference: "plain",
      steps,
      ...compareLosses(losses, theirs.losses),
      dev: { rows, agreement: agree / rows },
      updates: Object.fromEntries(
        parts.map(({ name }) => [name, order.filter((one) => one === name).length]),
      ),
    };
  } finally {
    rmSync(folder, { recursive: true });
    await backbone.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await report("multi-twin.mjs", (set = "trec+conll04", steps = "200", backbone, maxLength) =>
    multiTwin(set, Number(steps), {
      ...(backbone && { backbone }),
      ...(maxLength && { maxLength: Number(maxLength) }),
    }),
  );
}
