/**
 * Makes checkpoints of real size with random weights, under .cache/bench/, for speed and memory. Weights are
 * normal with deviation 0.02, as a newly initialised model has them.
 */
import { spawnSync } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { referencePython } from "../tools/reference/run.mjs";

export const sizes = {
  small: { hidden_size: 256, num_hidden_layers: 8, num_attention_heads: 4, intermediate_size: 1024 },
  "bert-base": { hidden_size: 768, num_hidden_layers: 12, num_attention_heads: 12, intermediate_size: 3072 },
  "bert-large": {
    hidden_size: 1024,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    intermediate_size: 4096,
  },
};

const vocabSize = 30522;
const maxPositions = 512;

function shapes({ hidden_size: E, num_hidden_layers: L, intermediate_size: I }) {
  const linear = (name, out, width) => [
    [`${name}.weight`, [out, width]],
    [`${name}.bias`, [out]],
  ];
  const norm = (name) => [
    [`${name}.weight`, [E]],
    [`${name}.bias`, [E]],
  ];
  const layers = Array.from({ length: L }, (_, i) => {
    const at = `bert.encoder.layer.${i}`;
    return [
      ...["query", "key", "value"].flatMap((part) => linear(`${at}.attention.self.${part}`, E, E)),
      ...linear(`${at}.attention.output.dense`, E, E),
      ...norm(`${at}.attention.output.LayerNorm`),
      ...linear(`${at}.intermediate.dense`, I, E),
      ...linear(`${at}.output.dense`, E, I),
      ...norm(`${at}.output.LayerNorm`),
    ];
  }).flat();
  return [
    ["bert.embeddings.word_embeddings.weight", [vocabSize, E]],
    ["bert.embeddings.position_embeddings.weight", [maxPositions, E]],
    ["bert.embeddings.token_type_embeddings.weight", [2, E]],
    ...norm("bert.embeddings.LayerNorm"),
    ...layers,
    ...linear("bert.pooler.dense", E, E),
  ];
}

/** A random checkpoint that transformers makes; on first use. */
async function randomDeberta() {
  const folder = join(import.meta.dirname, "../.cache/bench/deberta-base");
  if (existsSync(join(folder, "done"))) return folder;
  mkdirSync(folder, { recursive: true });
  const script = join(import.meta.dirname, "random_deberta.py");
  const { status } = spawnSync(referencePython(), [script, folder], { stdio: "inherit" });
  if (status !== 0) throw new Error("random_deberta.py failed");
  writeFileSync(join(folder, "done"), "");
  return folder;
}

/** The folder of a checkpoint: a random one, or one that the catalog knows. */
export async function checkpointFolder(name) {
  if (name in sizes) return randomBackbone(name);
  if (name === "deberta-base") return randomDeberta();
  const backbone = await loadBackbone(name);
  await backbone.close();
  return backbone.folder;
}

/** The folder of a random checkpoint; made on first use. */
export async function randomBackbone(name) {
  const folder = join(import.meta.dirname, "../.cache/bench", name);
  if (existsSync(join(folder, "done"))) return folder;
  mkdirSync(folder, { recursive: true });
  const size = sizes[name];
  const config = {
    model_type: "bert",
    vocab_size: vocabSize,
    max_position_embeddings: maxPositions,
    type_vocab_size: 2,
  };
  writeFileSync(
    join(folder, "config.json"),
    JSON.stringify({ ...config, architectures: ["BertModel"], ...size }),
  );
  const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  while (words.length < vocabSize) words.push(`w${words.length}`);
  writeFileSync(join(folder, "vocab.txt"), `${words.join("\n")}\n`);

  const header = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const [tensor, shape] of shapes(size)) {
    const bytes = 4 * shape.reduce((a, b) => a * b, 1);
    header[tensor] = { dtype: "F32", shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, " ");
  text.copy(padded);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(padded.length));
  const file = createWriteStream(join(folder, "model.safetensors"));
  file.write(prefix);
  file.write(padded);
  // One stretch of normal numbers, read at random places: quick, and as good for timing.
  const rng = new Rng(1);
  const pool = Float32Array.from({ length: 1 << 20 }, () => rng.normal() * 0.02);
  for (const [tensor, shape] of shapes(size)) {
    let left = shape.reduce((a, b) => a * b, 1);
    while (left > 0) {
      const count = Math.min(left, pool.length);
      const start = rng.integer(pool.length - count + 1);
      const values = Float32Array.from(pool.subarray(start, start + count));
      if (tensor.endsWith("LayerNorm.weight")) values.fill(1);
      if (!file.write(Buffer.from(values.buffer))) await new Promise((done) => file.once("drain", done));
      left -= count;
    }
  }
  await new Promise((done) => file.end(done));
  writeFileSync(join(folder, "done"), "");
  return folder;
}
