/** A folder of the GLM of 2022 but for its weights: its configuration, and GPT-2's kind of tokenizer over bytes and a few words. */
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const behind = [
  ...["<|startofpiece|>", "<|endofpiece|>", "[CLS]", "[MASK]"],
  ...["[SEP]", "[UNUSED]", "[gMASK]", "[sMASK]"],
];

/** @param words that are one piece behind a blank */
export function writeGlm(folder, { words = ["yes", "no"], ...size }) {
  const alphabet = createRequire(import.meta.url)("tokenizers")
    .byteLevelAlphabet()
    .sort();
  const merges = words.flatMap((word) => {
    const letters = [...`Ġ${word}`];
    return letters.slice(1).map((letter, i) => `${letters.slice(0, i + 1).join("")} ${letter}`);
  });
  const made = merges.map((merge) => merge.replace(" ", ""));
  const pieces = [...alphabet, ...new Set(made), "<|endoftext|>"];
  const config = {
    model_type: "glm",
    vocab_size: 50_304,
    max_sequence_length: 1024,
    block_position_encoding: true,
    attention_scale: 1,
    pad_token_id: pieces.length - 1,
    ...size,
  };
  const files = {
    "config.json": JSON.stringify(config),
    "vocab.json": JSON.stringify(Object.fromEntries(pieces.map((piece, id) => [piece, id]))),
    "merges.txt": `#version: 0.2\n${[...new Set(merges)].join("\n")}\n`,
    "added_tokens.json": JSON.stringify(
      Object.fromEntries(behind.map((name, i) => [name, pieces.length + i])),
    ),
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
}
