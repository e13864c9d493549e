/**
 * A backbone and a task that train in seconds: a small random BERT (or RoBERTa), and texts whose label is one of their
 * words.
 */
/**
 * A backbone and a task that train in seconds: a small random BERT (or RoBERTa), and texts whose label is one of their
 * words.
 */

import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Adapter } from "ptuning/adapters";
import { type Backbone, loadBackbone } from "ptuning/backbones";
import { Rng, type Tensor } from "ptuning/core";
import type { Dataset, TextExample } from "ptuning/data";
import { type Engine, nodeEngine } from "ptuning/engine";
import { encodeSafetensors } from "ptuning/files";
import { deepPrompt } from "ptuning/methods";
import { sequenceClassification } from "ptuning/tasks";
import {
  type CheckpointEvent,
  type TrainEvent,
  type TrainingState,
  type TrainOptions,
  train,
} from "ptuning/train";

const size = { hidden: 32, layers: 2, heads: 4, intermediate: 64, vocab: 40, positions: 48 };

/** How a checkpoint differs from the usual ones. */
interface TinyChoices {
  readonly positions?: number;
  /** With a masked-LM head of these names. */
  readonly lmHead?: LmHeadNames;
}

/** Writes a BERT checkpoint with random weights whose outputs depend on every token. */
export function writeTinyBackbone(
  folder: string,
  seed = 1,
  { vocab = size.vocab, positions = size.positions, lmHead }: TinyChoices & { vocab?: number } = {},
): string {
  const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  while (words.length < vocab) words.push(`w${words.length - 5}`);
  const config = {
    model_type: "bert",
    vocab_size: vocab,
    type_vocab_size: 2,
    max_position_embeddings: positions,
  };
  writeCheckpoint(folder, seed, config, true, lmHead);
  writeFileSync(join(folder, "vocab.txt"), `${words.join("\n")}\n`);
  return folder;
}

/** The same as RoBERTa, without a pooler as its checkpoints come; `w0` … `w34` are one token each. */
export function writeTinyRoberta(
  folder: string,
  seed = 1,
  { positions = size.positions, lmHead }: TinyChoices = {},
): string {
  const merges: string[] = ["Ġ w"];
  for (const start of ["Ġw", "w"]) {
    for (let i = 0; i < size.vocab - 5; i++) {
      const [tens, ones] = i < 10 ? ["", String(i)] : [String(Math.floor(i / 10)), String(i % 10)];
      merges.push(`${start}${tens} ${ones}`);
    }
  }
  const alphabet: string[] = createRequire(import.meta.url)("tokenizers").byteLevelAlphabet();
  const pieces = ["<s>", "<pad>", "</s>", "<unk>", ...alphabet.sort()];
  pieces.push(...merges.map((merge) => merge.replace(" ", "")), "<mask>");
  const config = {
    model_type: "roberta",
    vocab_size: pieces.length,
    type_vocab_size: 1,
    pad_token_id: 1,
    layer_norm_eps: 1e-5,
    max_position_embeddings: positions + 2,
  };
  writeCheckpoint(folder, seed, config, false, lmHead);
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  writeFileSync(join(folder, "vocab.json"), JSON.stringify(vocab));
  writeFileSync(join(folder, "merges.txt"), `#version: 0.2\n${merges.join("\n")}\n`);
  return folder;
}

interface TinyConfig {
  readonly model_type: string;
  readonly type_vocab_size: number;
  readonly max_position_embeddings: number;
  readonly vocab_size?: number;
}

/** What a checkpoint calls the parts of its masked-LM head. */
interface LmHeadNames {
  readonly dense: string;
  readonly norm: string;
  readonly bias: string;
}

function writeCheckpoint(
  folder: string,
  seed: number,
  given: TinyConfig,
  pooler: boolean,
  lmHead?: LmHeadNames,
): void {
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
  const config = { vocab_size: size.vocab, ...given };
  add("embeddings.word_embeddings.weight", [config.vocab_size, E], () => rng.normal());
  add("embeddings.position_embeddings.weight", [config.max_position_embeddings, E], () => 0.3 * rng.normal());
  add("embeddings.token_type_embeddings.weight", [config.type_vocab_size, E], () => 0.3 * rng.normal());
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
  if (pooler) linear("pooler.dense", E, E);
  if (lmHead) {
    linear(lmHead.dense, E, E);
    norm(lmHead.norm);
    add(lmHead.bias, [config.vocab_size], () => 0.1 * rng.normal());
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(tensors, { format: "pt" }));
  const sizes = {
    hidden_size: E,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
    intermediate_size: I,
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...sizes }));
}

export const tinyFolder: string = writeTinyBackbone(
  join(mkdtempSync(join(tmpdir(), "ptuning-tiny-")), "tiny-bert"),
);

export const tinyRobertaFolder: string = writeTinyRoberta(
  join(mkdtempSync(join(tmpdir(), "ptuning-tiny-")), "tiny-roberta"),
);

/** Names of masked-LM heads as transformers saves them. */
export const lmHeadNames: { readonly bert: LmHeadNames; readonly roberta: LmHeadNames } = {
  bert: {
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    bias: "cls.predictions.bias",
  },
  roberta: { dense: "lm_head.dense", norm: "lm_head.layer_norm", bias: "lm_head.bias" },
};

/** The same with masked-LM heads. */
export const tinyLmFolders: { readonly bert: string; readonly roberta: string } = {
  bert: writeTinyBackbone(join(mkdtempSync(join(tmpdir(), "ptuning-tiny-")), "tiny-bert-mlm"), 1, {
    lmHead: lmHeadNames.bert,
  }),
  roberta: writeTinyRoberta(join(mkdtempSync(join(tmpdir(), "ptuning-tiny-")), "tiny-roberta-mlm"), 1, {
    lmHead: lmHeadNames.roberta,
  }),
};

export function tinyBackbone(engine: Engine = nodeEngine({ threads: 1 })): Promise<Backbone> {
  return loadBackbone(tinyFolder, { engine });
}

export function tinyRoberta(engine: Engine = nodeEngine({ threads: 1 })): Promise<Backbone> {
  return loadBackbone(tinyRobertaFolder, { engine });
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

/** Such examples as a table with a head. */
export function tinyCsv(count: number, seed: number): string {
  const rows = tinyExamples(count, seed).map(({ text, label }) => `${text},${label}`);
  return `text,label\n${rows.join("\n")}\n`;
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

/** An event that can be kept: a checkpoint has its state, taken while it was handled. */
export type KeptEvent<A = Adapter> =
  | Exclude<TrainEvent<A>, CheckpointEvent>
  | (Pick<CheckpointEvent, "type" | "step"> & { readonly state: TrainingState });

/** All events of a run. */
export async function keepEvents<A>(run: AsyncIterable<TrainEvent<A>>): Promise<KeptEvent<A>[]> {
  const events: KeptEvent<A>[] = [];
  for await (const event of run) {
    if (event.type !== "checkpoint") events.push(event);
    else events.push({ type: event.type, step: event.step, state: await event.state() });
  }
  return events;
}

/** All events of a run. */
export function eventsOf(options: TrainOptions): Promise<KeptEvent[]> {
  return keepEvents(train(options));
}

/** The events of one type. */
export function ofType<E extends { readonly type: string }, T extends E["type"]>(
  events: readonly E[],
  type: T,
): Extract<E, { type: T }>[] {
  return events.filter((event): event is Extract<E, { type: T }> => event.type === type);
}
