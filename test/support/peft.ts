/** PEFT itself on our batches, and what tests of the exchange with it have in common. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AnswerExample, TokenExample } from "ptuning/data";
import type { Adapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import type { Tensor } from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { batchFeeds, inferenceGraph } from "ptuning/internal/model";
import { padBatch, type TokenBatch, type TokenSequences, tokenCount } from "ptuning/internal/text";
import { expect } from "vitest";
import { runReference } from "../../tools/reference/run.mjs";
import { theirInputs } from "./checkpoints.ts";

/** Tags of the sentences. */
export const tags: readonly string[] = ["O", "B-X", "I-X"];
export const sentences: readonly TokenExample[] = [
  { words: ["w1", "w2", "w3", "w9"], tags: ["B-X", "I-X", "O", "O"] },
  { words: ["w4", "w1"], tags: ["O", "B-X"] },
  { words: ["w5", "w6", "w7", "w8", "w2", "w1"], tags: ["O", "O", "O", "B-X", "I-X", "O"] },
];
export const questions: readonly AnswerExample[] = [
  { id: "a", question: "w1 w2", context: "w3 w4 w5 w6", answers: [{ text: "w4 w5", start: 3 }] },
  { id: "b", question: "w7", context: "w3 w1", answers: [{ text: "w1", start: 3 }] },
];

export const ints = (shape: readonly number[], data: readonly number[]): Tensor<"int32"> => ({
  dtype: "int32",
  shape,
  data: Int32Array.from(data),
});

/** Sequences as one batch, and how many real tokens each has. */
export interface WholeBatch {
  readonly batch: TokenBatch;
  readonly counts: readonly number[];
}

export function wholeBatch(sequences: TokenSequences, { config }: Backbone): WholeBatch {
  const rows = Array.from({ length: sequences.count }, (_, row) => row);
  return {
    batch: padBatch(sequences, rows, config.padTokenId),
    counts: rows.map((row) => tokenCount(sequences, row)),
  };
}

/** What PEFT says of an adapter. */
export interface PeftAnswer {
  readonly logits?: number[][];
  readonly error?: string;
}

/** Where PEFT works, and on what. */
export interface PeftPlace {
  readonly backbone: Backbone;
  readonly batch: TokenBatch;
  /** What its loss takes of the batch. */
  readonly gold: Readonly<Record<string, Tensor>>;
  /** For the files between us. */
  readonly folder: string;
}

/**
 * Loads an adapter with PEFT, or trains and saves one there; see tools/reference/peft_live.py.
 * @param what type of adapter, task and numbers
 */
export async function askPeft(
  { backbone, batch, gold, folder }: PeftPlace,
  mode: "load" | "train",
  path: string,
  ...what: readonly string[]
): Promise<PeftAnswer> {
  const [input, output] = [join(folder, "batch.safetensors"), join(folder, "out.json")];
  await writeFile(input, encodeSafetensors({ ...theirInputs(batch), ...gold }));
  await runReference("peft_live.py", mode, backbone.folder, path, input, output, ...what);
  return JSON.parse(await readFile(output, "utf8"));
}

/** The logits of an answer. */
export function logitsOf({ logits, error }: PeftAnswer): number[][] {
  expect(error).toBeUndefined();
  return logits!;
}

/** Tensors that an adapter's folder holds. */
export async function tensorsIn(path: string): Promise<Readonly<Record<string, Tensor>>> {
  return (await readSafetensors(join(path, "adapter_model.safetensors"))).tensors;
}

/** Our logits of texts, or of the real tokens, sequence by sequence. */
export async function ourLogits(
  { task, params, frozen, method }: Adapter,
  backbone: Backbone,
  { batch, counts }: WholeBatch,
): Promise<number[]> {
  const parts = { backbone, method, head: task.head, ...(frozen && { frozen }) };
  await using session = await backbone.engine.compile(inferenceGraph(parts, params));
  const { logits } = await session.run({ ...batchFeeds(batch), ...params });
  const width = logits!.shape.at(-1)!;
  const isOfTokens = logits!.shape[0] !== counts.length;
  const rows = isOfTokens
    ? counts.flatMap((count, b) => Array.from({ length: count }, (_, s) => s * counts.length + b))
    : [...counts.keys()];
  return rows.flatMap((row) => Array.from(logits!.data.slice(row * width, (row + 1) * width), Number));
}

/** Every logit of ours is as far as 1e-4 from theirs at most. */
export function expectNear(ours: readonly number[], theirs: readonly (readonly number[])[]): void {
  const flat = theirs.flat();
  expect(ours).toHaveLength(flat.length);
  expect(Math.max(...flat.map((logit, i) => Math.abs(logit - ours[i]!)))).toBeLessThan(1e-4);
}
