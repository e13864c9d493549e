/** A backbone and data that train in a moment: a small random BERT, and texts whose label is one of their words. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Rng } from "../../../dist/core/index.js";
import { encodeSafetensors } from "../../../dist/files/index.js";

/** Writes a checkpoint. */
export function writeTinyBackbone(folder, { hidden = 32, layers = 2, heads = 4, vocab = 40 } = {}) {
  const rng = new Rng(1);
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
    add(`${name}.weight`, [hidden], () => 1 + 0.1 * rng.normal());
    add(`${name}.bias`, [hidden], () => 0.1 * rng.normal());
  };
  add("embeddings.word_embeddings.weight", [vocab, hidden], () => rng.normal());
  add("embeddings.position_embeddings.weight", [48, hidden], () => 0.3 * rng.normal());
  add("embeddings.token_type_embeddings.weight", [2, hidden], () => 0.3 * rng.normal());
  norm("embeddings.LayerNorm");
  for (let layer = 0; layer < layers; layer++) {
    const at = `encoder.layer.${layer}`;
    for (const part of ["query", "key", "value"]) linear(`${at}.attention.self.${part}`, hidden, hidden);
    linear(`${at}.attention.output.dense`, hidden, hidden);
    norm(`${at}.attention.output.LayerNorm`);
    linear(`${at}.intermediate.dense`, 2 * hidden, hidden);
    linear(`${at}.output.dense`, hidden, 2 * hidden);
    norm(`${at}.output.LayerNorm`);
  }
  linear("pooler.dense", hidden, hidden);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(tensors, { format: "pt" }));
  const config = {
    ...{ model_type: "bert", vocab_size: vocab, type_vocab_size: 2, max_position_embeddings: 48 },
    ...{ hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads },
    intermediate_size: 2 * hidden,
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  while (words.length < vocab) words.push(`w${words.length - 5}`);
  writeFileSync(join(folder, "vocab.txt"), `${words.join("\n")}\n`);
  return folder;
}

/** Such texts as a table with a head. */
export function tinyCsv(count, seed) {
  const rng = new Rng(seed);
  const rows = Array.from({ length: count }, () => {
    const label = rng.integer(3);
    const words = Array.from({ length: 1 + rng.integer(6) }, () => `w${10 + rng.integer(20)}`);
    words.splice(rng.integer(words.length + 1), 0, `w${label}`);
    return `${words.join(" ")},class ${label}`;
  });
  return `text,label\n${rows.join("\n")}\n`;
}
