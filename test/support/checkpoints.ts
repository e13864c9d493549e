import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Tensor } from "ptuning/internal/core";
import { encodeSafetensors } from "ptuning/internal/files";
import type { TokenBatch } from "ptuning/internal/text";
import { expect } from "vitest";
import { runReference } from "../../tools/reference/run.mjs";

/** What transformers says of a checkpoint and a batch. */
interface CheckpointAnswer {
  readonly tokens: readonly number[];
  readonly unexpected: readonly string[];
  readonly logits: readonly (readonly number[])[];
}

/** [S, B] of ours as [B, S] of theirs. */
function rowsFirst({ shape: [S = 0, B = 0], data }: Tensor<"int32">): Tensor<"int32"> {
  return {
    dtype: "int32",
    shape: [B, S],
    data: Int32Array.from({ length: S * B }, (_, i) => data[(i % S) * B + Math.floor(i / S)]!),
  };
}

/** A batch of ours as transformers takes it. */
export function theirInputs({ inputIds, tokenTypeIds, attentionMask }: TokenBatch): Record<string, Tensor> {
  return { ids: rowsFirst(inputIds), types: rowsFirst(tokenTypeIds), mask: rowsFirst(attentionMask) };
}

/** Asks transformers what it computes with a checkpoint; see tools/reference/checkpoint_live.py. */
export async function askTransformers(
  path: string,
  folder: string,
  batch: TokenBatch,
  more: Readonly<Record<string, Tensor>> = {},
): Promise<CheckpointAnswer> {
  const [batchPath, outPath] = [join(folder, "batch.safetensors"), join(folder, "out.json")];
  await writeFile(batchPath, encodeSafetensors({ ...theirInputs(batch), ...more }));
  await runReference("checkpoint_live.py", path, batchPath, outPath);
  return JSON.parse(await readFile(outPath, "utf8"));
}

/** Every logit of ours is as far as 1e-4 from theirs at most. */
export function expectEqualLogits({ logits }: CheckpointAnswer, ours: Tensor): void {
  const values = Array.from(ours.data as Float32Array);
  const differences = logits.flat().map((logit, i) => Math.abs(logit - values[i]!));
  expect(differences).toHaveLength(values.length);
  expect(Math.max(...differences)).toBeLessThan(1e-4);
}
