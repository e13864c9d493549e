/** Small random BERT checkpoints, for whoever needs one: tests, proofs, and earlier commits that write what tests read. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Special pieces, then `w0`, `w1`, …: one token each. */
export function words(count) {
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  return [...special, ...Array.from({ length: count - special.length }, (_, i) => `w${i}`)];
}

/**
 * Writes `config.json` and `model.safetensors` with random weights, whose outputs depend on every token.
 * @param of the library that draws and writes: `rng` and `encodeSafetensors`, of this commit or another
 * @param config as transformers writes it
 * @param parts what there is beside the encoder: a pooler, a masked-LM head of these names
 */
export function writeBert(folder, { rng, encodeSafetensors }, config, { pooler = true, lmHead } = {}) {
  const { hidden_size: E, intermediate_size: I } = config;
  const tensors = {};
  const add = (name, shape, value) => {
    const length = shape.reduce((a, b) => a * b, 1);
    tensors[name] = { dtype: "float32", shape, data: Float32Array.from({ length }, value) };
  };
  const linear = (name, out, width) => {
    add(`${name}.weight`, [out, width], () => rng.normal() / Math.sqrt(width));
    add(`${name}.bias`, [out], () => 0.1 * rng.normal());
  };
  const norm = (name) => {
    add(`${name}.weight`, [E], () => 1 + 0.1 * rng.normal());
    add(`${name}.bias`, [E], () => 0.1 * rng.normal());
  };
  add("embeddings.word_embeddings.weight", [config.vocab_size, E], () => rng.normal());
  add("embeddings.position_embeddings.weight", [config.max_position_embeddings, E], () => 0.3 * rng.normal());
  add("embeddings.token_type_embeddings.weight", [config.type_vocab_size, E], () => 0.3 * rng.normal());
  norm("embeddings.LayerNorm");
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
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
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
}

/** The same with the vocabulary of {@link words}. @returns the folder */
export function writeWordBert(folder, library, config, parts) {
  writeBert(folder, library, config, parts);
  writeFileSync(join(folder, "vocab.txt"), `${words(config.vocab_size).join("\n")}\n`);
  return folder;
}
