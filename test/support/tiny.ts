/**
 * A backbone and a task that train in seconds: a small random BERT (or RoBERTa), and texts whose label is one of their
 * words.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dataset } from "ptuning/data";
import { type Engine, nodeEngine } from "ptuning/engine";
import type { Adapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { encodeSafetensors } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import {
  type CheckpointEvent,
  type TrainEvent,
  type TrainingState,
  type TrainOptions,
  train,
} from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll } from "vitest";
import { type LmHeadNames, writeBert, writeWordBert } from "../../tools/bert.mjs";
import { tinyCsv, tinyExamples } from "../../tools/proofs/support/tiny.mjs";

export { tinyCsv, tinyExamples };

const size = { vocab: 40, positions: 48 };
const sizes = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64 };

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
  const config = {
    vocab_size: vocab,
    model_type: "bert",
    type_vocab_size: 2,
    max_position_embeddings: positions,
    ...sizes,
  };
  return writeWordBert(folder, { rng: new Rng(seed), encodeSafetensors }, config, {
    ...(lmHead && { lmHead }),
  });
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
    vocab_size: pieces.length,
    model_type: "roberta",
    type_vocab_size: 1,
    pad_token_id: 1,
    layer_norm_eps: 1e-5,
    max_position_embeddings: positions + 2,
    ...sizes,
  };
  const parts = { pooler: false, ...(lmHead && { lmHead }) };
  writeBert(folder, { rng: new Rng(seed), encodeSafetensors }, config, parts);
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  writeFileSync(join(folder, "vocab.json"), JSON.stringify(vocab));
  writeFileSync(join(folder, "merges.txt"), `#version: 0.2\n${merges.join("\n")}\n`);
  return folder;
}

const folder = mkdtempSync(join(tmpdir(), "ptuning-tiny-"));
// Of the file that imports this: after its own.
afterAll(() => rmSync(folder, { recursive: true }));

export const tinyFolder: string = writeTinyBackbone(join(folder, "tiny-bert"));
export const tinyRobertaFolder: string = writeTinyRoberta(join(folder, "tiny-roberta"));

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
  bert: writeTinyBackbone(join(folder, "tiny-bert-mlm"), 1, { lmHead: lmHeadNames.bert }),
  roberta: writeTinyRoberta(join(folder, "tiny-roberta-mlm"), 1, { lmHead: lmHeadNames.roberta }),
};

export function tinyBackbone(engine: Engine = nodeEngine({ threads: 1 })): Promise<Backbone> {
  return loadBackbone(tinyFolder, { engine });
}

export function tinyRoberta(engine: Engine = nodeEngine({ threads: 1 })): Promise<Backbone> {
  return loadBackbone(tinyRobertaFolder, { engine });
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
    // Tests of heads on both backbones ask for them.
    blend: "never",
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
