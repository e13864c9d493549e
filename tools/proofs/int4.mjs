/**
 * Layers in 4 bits on real MiniLM and MPNet: logits and gradients beside those of a checkpoint that holds the very numbers
 * which the 4 bits stand for, in fp32; and scores on whole test sets of states trained with int8 and with int4 layers, read
 * with layers of every form. small: MiniLM, the first part alone.
 */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadAdapter } from "ptuning/internal/adapters";
import { loadBackbone, withPrecision } from "ptuning/internal/backbones";
import { completeRunConfig, parseRunConfig, readData } from "ptuning/internal/config";
import { floats, Rng, withOpen } from "ptuning/internal/core";
import { encodeSafetensors } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import {
  batchFeeds,
  gradientOutput,
  initializeParams,
  lossScaleInput,
  trainingGraph,
} from "ptuning/internal/model";
import { padBatch } from "ptuning/internal/text";
import { sequenceClassification } from "ptuning/tasks";
import { root } from "../prepare.mjs";
import { scratch } from "../scratch.mjs";
import { scoreWith, trainRecipe } from "./precision.mjs";

/** Of the greatest difference, as a share of the greatest number. */
const bar = 1e-4;
const block = 32;
const sets = { trec: "accuracy", conll04: "f1" };
const texts = [
  "How did serfdom develop in and then leave Russia ?",
  "Who was the inventor of silly putty ?",
  "What is the full form of .com ?",
  "Where is the highest point in Japan ?",
];

/** The numbers that 4 bits stand for: the first of a byte in its lower half, 8 is none, a scale for each 32. */
function numbersOf(codes, scales) {
  return Float32Array.from({ length: 2 * codes.length }, (_, i) => {
    const byte = codes[i >> 1];
    return ((i % 2 === 0 ? byte & 15 : byte >> 4) - 8) * scales[Math.floor(i / block)];
  });
}

/** Writes the checkpoint, under the names of its kind, whose matrices are the numbers of another's 4 bits. */
async function writeNumbers(backbone, folder) {
  const tensors = {};
  const nameOf = (name) => backbone.architecture.checkpointName(name);
  const read = async ({ source, offset, byteLength }) =>
    (await withOpen(source, (open) => open.read(offset, byteLength))).slice();
  for (const [name, weight] of backbone.weights) {
    if (name.endsWith(".int4.scale")) continue;
    const bytes = await read(weight);
    if (!name.endsWith(".int4")) {
      tensors[nameOf(name)] = floats([...weight.shape], new Float32Array(bytes.buffer));
      continue;
    }
    const scales = new Float32Array((await read(backbone.weights.get(`${name}.scale`))).buffer);
    const [rows, blocks] = weight.shape;
    tensors[nameOf(name.slice(0, -".int4".length))] = floats(
      [rows, blocks * block],
      numbersOf(bytes, scales),
    );
  }
  writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(tensors));
  for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]) {
    const from = join(backbone.folder, file);
    if (existsSync(from)) copyFileSync(from, join(folder, file));
  }
}

/** Logits, loss and gradients of four questions, with a prompt and a head of the same numbers. */
async function step(backbone) {
  const task = sequenceClassification({ labels: ["a", "b"], preset: "peft" });
  const parts = { backbone, method: deepPrompt({ promptLength: 20 }), head: task.head };
  const params = await initializeParams(parts, new Rng(1));
  const encoded = await task.encode(
    texts.map((text, i) => ({ text, label: "ab"[i % 2] })),
    backbone.tokenizer,
    64,
  );
  const rows = [0, 1, 2, 3];
  const batch = padBatch(encoded.sequences, rows, backbone.config.padTokenId);
  const { graph } = trainingGraph(parts, task, params, { hidden: 0, attention: 0 });
  const session = await backbone.engine.compile(graph);
  try {
    return await session.run({
      ...batchFeeds(batch),
      ...task.targets(encoded, { rows, length: batch.length }),
      [lossScaleInput]: floats([], [1 / rows.length]),
      ...params,
    });
  } finally {
    await session.release();
  }
}

async function compareNumbers(name, folder) {
  const given = await loadBackbone(name);
  try {
    const small = await withPrecision(given, "int4");
    if (small.precision !== "int4") throw new Error(`expected int4 layers, got ${small.precision}.`);
    await writeNumbers(small, folder);
    const exact = await loadBackbone(folder, { engine: given.engine });
    const [ours, wanted] = [await step(small), await step(exact)];
    const distances = Object.entries(wanted).map(([key, { data }]) => {
      const most = data.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      const difference = data.reduce((max, x, i) => Math.max(max, Math.abs(x - ours[key].data[i])), 0);
      return [key, difference / most];
    });
    if (!distances.some(([key]) => key === gradientOutput("prompt.embeddings")))
      throw new Error("no gradient of the prompt");
    const greatest = Math.max(...distances.map(([, distance]) => distance));
    if (!(greatest <= bar))
      throw new Error(`${name}: expected at most ${bar}, got ${JSON.stringify(distances)}.`);
    return { backbone: name, outputs: distances.length, greatestDifference: Number(greatest.toPrecision(2)) };
  } finally {
    await given.close();
  }
}

export async function prove({ size }) {
  const folder = await scratch("int4");
  const names = size === "small" ? ["minilm"] : ["minilm", "mpnet"];
  const numbers = [];
  const scores = [];
  try {
    for (const name of names) {
      numbers.push(await compareNumbers(name, folder));
      process.stderr.write(`${JSON.stringify(numbers.at(-1))}\n`);
    }
    if (size === "small") return { bar, numbers, scores };
    for (const name of names) {
      for (const [set, metric] of Object.entries(sets)) {
        const recipe = `recipes/backbones/${set}.yaml`;
        const config = parseRunConfig({ text: readFileSync(join(root, recipe), "utf8"), where: recipe });
        const { test } = await readData(await completeRunConfig(config));
        for (const trained of ["int8", "int4"]) {
          const output = join(folder, `${name}-${set}-${trained}`);
          trainRecipe(recipe, [
            "--seed",
            "11",
            "--backbone",
            name,
            "--precision",
            trained,
            "--output",
            output,
          ]);
          const adapter = await loadAdapter(join(output, "adapter"));
          const backbone = await loadBackbone(name);
          const scored = {};
          for (const form of ["fp32", "int8", "int4"])
            scored[form] = await scoreWith(adapter, backbone, form, test, metric);
          await backbone.close();
          scores.push({ backbone: name, set, metric, seed: 11, trained, examples: test.length, ...scored });
          process.stderr.write(`${JSON.stringify(scores.at(-1))}\n`);
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { bar, numbers, scores };
}
