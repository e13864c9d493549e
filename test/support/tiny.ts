/** A backbone and a task that train in seconds: a small random BERT, and texts whose label is one of their words. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Backbone, loadBackbone } from "ptuning/backbones";
import { Rng, type Tensor } from "ptuning/core";
import type { Dataset, TextExample } from "ptuning/data";
import { type Engine, nodeEngine } from "ptuning/engine";
import { encodeSafetensors } from "ptuning/files";
import { deepPrompt } from "ptuning/methods";
import { sequenceClassification } from "ptuning/tasks";
import { type TrainEvent, type TrainOptions, train } from "ptuning/train";

const size = { hidden: 32, layers: 2, heads: 4, intermediate: 64, vocab: 40, positions: 48 };

/** Writes a BERT checkpoint with random weights whose outputs depend on every token. */
export function writeTinyBackbone(folder: string, seed = 1): string {
  const { hidden: E, intermediate: I } = size;
  const rng = new Rng(seed);
  const tensors: Record<string, Tensor> = {};
  const add = (name: string, shape: number[], value: () => number): void => {
    const length = shape.reduce((a, b) => a * b, 1);
    tensors[name] = { dtype: "float32", shape, data: Float32Array.from({ length }, value) };
  };
  const linear = (name: string, out: number, width: number): void => {
    add(`${name}.weight`, [out, width], () => rng.normal() / Math.sqrt(width));
    add(`${name}.bias`, [out], () => 0.1 * rng.normal());
  };
  const norm = (name: string): void => {
    add(`${name}.weight`, [E], () => 1 + 0.1 * rng.normal());
    add(`${name}.bias`, [E], () => 0.1 * rng.normal());
  };
  add("embeddings.word_embeddings.weight", [size.vocab, E], () => rng.normal());
  add("embeddings.position_embeddings.weight", [size.positions, E], () => 0.3 * rng.normal());
  add("embeddings.token_type_embeddings.weight", [2, E], () => 0.3 * rng.normal());
  norm("embeddings.LayerNorm");
  for (let layer = 0; layer < size.layers; layer++) {
    const at = `encoder.layer.${layer}`;
    for (const part of ["query", "key", "value"]) linear(`${at}.attention.self.${part}`, E, E);
    linear(`${at}.attention.output.dense`, E, E);
    norm(`${at}.attention.output.LayerNorm`);
    linear(`${at}.intermediate.dense`, I, E);
    linear(`${at}.output.dense`, E, I);
    norm(`${at}.output.LayerNorm`);
  }
  linear("pooler.dense", E, E);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(tensors, { format: "pt" }));
  const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  while (words.length < size.vocab) words.push(`w${words.length - 5}`);
  writeFileSync(join(folder, "vocab.txt"), `${words.join("\n")}\n`);
  const config = {
    model_type: "bert",
    hidden_size: E,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
    intermediate_size: I,
    vocab_size: size.vocab,
    max_position_embeddings: size.positions,
    type_vocab_size: 2,
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  return folder;
}

export const tinyFolder: string = writeTinyBackbone(
  join(mkdtempSync(join(tmpdir(), "ptuning-tiny-")), "tiny-bert"),
);

export function tinyBackbone(engine: Engine = nodeEngine({ threads: 1 })): Promise<Backbone> {
  return loadBackbone(tinyFolder, { engine });
}

/** Random words of unequal number, among them the one that decides the label. */
export function tinyExamples(count: number, seed: number): TextExample[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => {
    const label = rng.integer(3);
    const words = Array.from({ length: 1 + rng.integer(6) }, () => `w${10 + rng.integer(20)}`);
    words.splice(rng.integer(words.length + 1), 0, `w${label}`);
    return { text: words.join(" "), label: `class ${label}` };
  });
}

export const tinyData: Dataset = {
  train: tinyExamples(96, 1),
  dev: tinyExamples(48, 2),
  test: tinyExamples(48, 3),
  labels: ["class 0", "class 1", "class 2"],
  fingerprint: "sha256:tiny",
  warnings: [],
};

/** Options of a short run; `change` wins. */
export function tinyOptions(backbone: Backbone, change: Partial<TrainOptions> = {}): TrainOptions {
  return {
    backbone,
    data: tinyData,
    task: sequenceClassification({ labels: tinyData.labels }) as TrainOptions["task"],
    method: deepPrompt({ promptLength: 3, initScale: 0.5 }),
    epochs: 3,
    batchSize: 8,
    learningRate: 3e-2,
    maxLength: 16,
    precision: "fp32",
    seed: 5,
    ...change,
  };
}

/** All events of a run. */
export async function eventsOf(options: TrainOptions): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of train(options)) {
    // States hold the run's own arrays: what is kept must be a copy.
    events.push(event.type === "checkpoint" ? structuredClone(event) : event);
  }
  return events;
}

/** The events of one type. */
export function ofType<T extends TrainEvent["type"]>(
  events: readonly TrainEvent[],
  type: T,
): Extract<TrainEvent, { type: T }>[] {
  return events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);
}
