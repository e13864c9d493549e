/** A GLM of 2022 that trains in seconds: random weights, and a tokenizer of bytes and a few words. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { architectures } from "ptuning/internal/backbones";
import { floats, Rng, type Tensor } from "ptuning/internal/core";
import { encodeSafetensors } from "ptuning/internal/files";
import { writeGlm } from "../../tools/proofs/support/glm.mjs";

const size = {
  num_layers: 2,
  hidden_size: 32,
  num_attention_heads: 4,
  vocab_size: 320,
  max_sequence_length: 63,
};

/** Writes the checkpoint. @param words that are one piece behind a blank */
export function writeTinyGlm(folder: string, words: readonly string[]): string {
  mkdirSync(folder, { recursive: true });
  writeGlm(folder, { words, ...size });
  const architecture = architectures.find(({ modelTypes }) => modelTypes.includes("glm"))!;
  const config = architecture.parseConfig(
    JSON.parse(readFileSync(join(folder, "config.json"), "utf8")),
    "config.json",
  );
  const rng = new Rng(5);
  const tensors: Record<string, Tensor> = {};
  for (const [name, shape] of Object.entries(architecture.weights(config))) {
    const count = shape.reduce((product, length) => product * length, 1);
    const middle = name.endsWith("layernorm.weight") ? 1 : 0;
    tensors[architecture.checkpointName(name).replace(/^glm\./, "")] = floats(
      shape,
      Array.from({ length: count }, () => middle + 0.3 * rng.normal()),
    );
  }
  writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(tensors, { format: "pt" }));
  return folder;
}
