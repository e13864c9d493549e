/**
 * What masked-LM heads say of every word at every position, for checkpoints of each architecture that have one
 * (tools/reference/make_architectures.py, transformers in float64).
 */
import { existsSync, readdirSync } from "node:fs";
import { type Engine, nodeEngine, referenceEngine } from "ptuning/engine";
import { loadBackbone } from "ptuning/internal/backbones";
import { int32s, type Tensor } from "ptuning/internal/core";
import { readSafetensors } from "ptuning/internal/files";
import type { Head } from "ptuning/internal/heads";
import { linearProbe } from "ptuning/internal/methods";
import { checkTogether, inferenceGraph } from "ptuning/internal/model";
import { affine } from "ptuning/internal/nn";
import { afterAll, describe, expect, test } from "vitest";
import { goldenPath, relativeError } from "../support/golden.ts";

const reference = referenceEngine();
const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());

/** Hands out the logits of the whole vocabulary, `[S·B, V]`. */
const words: Head = {
  name: "words",
  options: {},
  rows: "all",
  usesLmHead: true,
  initialize: () => ({}),
  build: (ctx, { architecture: { lmHead }, config, hidden }) =>
    affine(
      ctx,
      lmHead.transform(ctx, config, hidden),
      ctx.weight(lmHead.table, [config.vocabSize, config.embeddingSize]),
      ctx.weight(lmHead.bias!, [config.vocabSize]),
    ),
};

const folders = readdirSync(goldenPath("")).filter((name) =>
  existsSync(goldenPath(`${name}/words.safetensors`)),
);

describe.each(folders)("%s", async (folder) => {
  const { tensors } = await readSafetensors(goldenPath(`${folder}/words.safetensors`));
  const { ids, mask, logits } = tensors as Record<"ids" | "mask" | "logits", Tensor>;
  const [batch, length] = ids.shape as [number, number];
  /** `[B, S, …]` → `[S, B, …]` */
  const turned = ({ data }: Tensor, width: number): number[] =>
    Array.from({ length: length * batch * width }, (_, i) => {
      const [s, b, w] = [Math.floor(i / (batch * width)), Math.floor(i / width) % batch, i % width];
      return Number(data[(b * length + s) * width + w]);
    });
  const kept = turned(mask, 1);
  const width = logits.shape[2]!;
  /** Of real tokens: nothing reads the others. */
  const real = (values: readonly number[]): number[] =>
    values.filter((_, i) => kept[Math.floor(i / width)] === 1);

  const found = async (engine: Engine): Promise<number[]> => {
    const backbone = await loadBackbone(goldenPath(folder), { engine });
    const parts = { backbone, method: linearProbe(), head: words };
    expect(() => checkTogether(parts)).not.toThrow();
    await using session = await engine.compile(inferenceGraph(parts, {}));
    const outputs = await session.run({
      input_ids: int32s([length, batch], turned(ids, 1)),
      token_type_ids: int32s([length, batch], new Int32Array(length * batch)),
      attention_mask: int32s([length, batch], kept),
    });
    return Array.from(outputs.logits!.data, Number);
  };

  test("float64: to 1e-9", async () => {
    const error = relativeError(real(await found(reference)), real(turned(logits, width)));
    expect(error).toBeLessThan(1e-9);
  });

  test("ONNX Runtime: to 1e-5", async () => {
    const error = relativeError(real(await found(native)), real(turned(logits, width)));
    expect(error).toBeLessThan(1e-5);
  });
});
