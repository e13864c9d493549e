/** A backbone and data that train in a moment: a small random BERT, and texts whose label is one of their words. */
import { Rng } from "../../../dist/core/index.js";
import { encodeSafetensors } from "../../../dist/files/index.js";
import { writeWordBert } from "../../bert.mjs";

/** Writes a checkpoint. */
export function writeTinyBackbone(folder, { hidden = 32, layers = 2, heads = 4, vocab = 40 } = {}) {
  return writeWordBert(
    folder,
    { rng: new Rng(1), encodeSafetensors },
    {
      model_type: "bert",
      vocab_size: vocab,
      type_vocab_size: 2,
      max_position_embeddings: 48,
      hidden_size: hidden,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      intermediate_size: 2 * hidden,
    },
  );
}

/** Random words of unequal number, among them the one that decides the label. */
export function tinyExamples(count, seed) {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => {
    const label = rng.integer(3);
    const words = Array.from({ length: 1 + rng.integer(6) }, () => `w${10 + rng.integer(20)}`);
    words.splice(rng.integer(words.length + 1), 0, `w${label}`);
    return { text: words.join(" "), label: `class ${label}` };
  });
}

/** Such texts as a table with a head. */
export function tinyCsv(count, seed) {
  const rows = tinyExamples(count, seed).map(({ text, label }) => `${text},${label}`);
  return `text,label\n${rows.join("\n")}\n`;
}
