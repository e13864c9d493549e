import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Backbone, loadBackbone, withPrecision } from "ptuning/internal/backbones";
import type { Tensor } from "ptuning/internal/core";
import { encodeSafetensors, memorySource, readSafetensorsHeader, readTensor } from "ptuning/internal/files";
import { embedTexts } from "ptuning/internal/predict";
import { afterAll, expect, test } from "vitest";
import { goldenPath } from "../support/golden.ts";

const folder = await mkdtemp(join(tmpdir(), "ptuning-half-"));
afterAll(() => rm(folder, { recursive: true }));

/** The checkpoint with its floats as the upper halves of float32: bfloat16. */
async function inHalf(): Promise<string> {
  const path = join(folder, "bf16");
  await cp(goldenPath("bert"), path, { recursive: true });
  const file = join(path, "model.safetensors");
  const source = memorySource(file, await readFile(file));
  const halves: Record<string, Tensor> = {};
  for (const [name, entry] of (await readSafetensorsHeader(source)).tensors) {
    const { shape, data } = await readTensor(source, entry);
    const words = new Uint32Array((data as Float32Array).slice().buffer);
    halves[name] = { dtype: "bfloat16", shape, data: Uint16Array.from(words, (word) => word >>> 16) };
  }
  await writeFile(file, encodeSafetensors(halves));
  return path;
}

const int8Layers = ({ weights }: Backbone): number =>
  [...weights.keys()].filter((name) => name.endsWith(".int8.forward")).length;

test("a checkpoint in 16 bits gets the int8 layers that one in 32 bits has", async () => {
  await using whole = await loadBackbone(goldenPath("bert"));
  await using half = await loadBackbone(await inHalf());
  const [int8, halfInt8] = [await withPrecision(whole, "int8"), await withPrecision(half, "int8")];
  expect(int8Layers(halfInt8)).toBe(int8Layers(int8));
  expect(int8Layers(halfInt8)).toBeGreaterThan(0);
  expect(halfInt8.precision).toBe("int8");
  const texts = ["w1 w2 w3 w4", "w5"];
  const [exact, rounded] = [await embedTexts(texts, half), await embedTexts(texts, halfInt8)];
  for (const [i, vector] of exact.entries()) {
    const cosine = vector.reduce((sum, x, j) => sum + x * rounded[i]![j]!, 0);
    expect(cosine).toBeGreaterThan(0.995);
    expect(cosine).toBeLessThan(1 - 1e-9);
  }
});

test("a checkpoint without layers that int8 suits is called what it is", async () => {
  await using backbone = await loadBackbone(goldenPath("bert"));
  const none = { ...backbone.architecture, linears: () => [] };
  const other = { ...backbone, architecture: none, fingerprint: `${backbone.fingerprint}-none` };
  expect((await withPrecision(other, "int8")).precision).toBe("fp32");
});
