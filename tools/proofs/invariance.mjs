/**
 * A text's logits are the same to the bit alone, among others, in any order, beside odd neighbours: trained adapters of three
 * tasks, in fp32 and int8. small: 20 texts, MiniLM. full: 500 texts, MiniLM and a random BERT-base.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readExamples } from "ptuning/data";
import { attach, loadAdapter } from "ptuning/internal/adapters";
import { loadBackbone, withPrecision } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { inferenceGraph, prepackFor } from "ptuning/internal/model";
import { forward } from "ptuning/internal/predict";
import { parse } from "yaml";
import { randomBackbone } from "../../bench/random-backbone.mjs";
import { root } from "../prepare.mjs";
import { scratch } from "../scratch.mjs";

/** A recipe, with another method perhaps, the file that is predicted, and what other than short English prose looks like in it. */
const sets = [
  {
    recipe: "sst2-minilm",
    file: "sst2/stsa.binary.test",
    odd: (text) => ({ text }),
  },
  {
    recipe: "sst2-minilm",
    method: { name: "lora", targets: "all" },
    file: "sst2/stsa.binary.test",
    odd: (text) => ({ text }),
  },
  {
    recipe: "conll04-minilm",
    file: "conll04/bio/test.txt",
    odd: (text) => ({ words: text.split(" ").filter(Boolean).slice(0, 200) }),
  },
  {
    recipe: "squad1-minilm",
    file: "squad1-train-prefix/train-v1.1.prefix.json.gz",
    odd: (text) => ({
      id: text.slice(0, 9),
      question: text.slice(0, 60),
      context: text,
      answers: [{ text: text.slice(0, 2).trim(), start: 0 }],
    }),
  },
];

const oddTexts = [
  "!",
  "\u{1f680} ".repeat(40),
  "the ".repeat(300),
  "zxqj ".repeat(120),
  "\u5317\u4eac\u5927\u5b66".repeat(30),
  "a",
];

/** A short training on a few rows of a recipe's data, so that the prompts are tuned ones. */
function trained({ recipe, method }, backbone, output, epochs) {
  const { data, ...rest } = parse(readFileSync(join(root, "recipes", `${recipe}.yaml`), "utf8"));
  const { dev, test, testShare, ...reading } = data;
  const config = {
    ...rest,
    ...(method && { method }),
    backbone,
    data: { ...reading, train: join(root, data.train), limit: 32 * epochs, devShare: 0 },
    training: { ...rest.training, epochs, batchSize: 16, learningRate: 0.03 },
  };
  const path = `${output}.json`;
  writeFileSync(path, JSON.stringify(config));
  const args = ["dist/cli/main.js", "train", path, "--output", output];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`${recipe}: ${stderr}`);
  return join(output, "adapter");
}

/** The logits of each example's sequences, as the bytes of those of its real positions. */
async function logitsOf(session, adapter, backbone, examples) {
  const { task, maxLength } = adapter;
  const encoded = await task.encode(examples, backbone.tokenizer, maxLength);
  const { sequences } = encoded;
  const found = new Array(sequences.count);
  for await (const { rows, length, logits } of forward(session, encoded, backbone, maxLength)) {
    for (const [b, row] of rows.entries()) {
      const positions = task.head.perPosition ? sequences.starts[row + 1] - sequences.starts[row] : 1;
      const width = logits.length / rows.length / (task.head.perPosition ? length : 1);
      const own = new Float32Array(positions * width);
      for (let s = 0; s < positions; s++) {
        const at = (s * rows.length + b) * width;
        own.set(logits.subarray(at, at + width), s * width);
      }
      found[row] = Buffer.from(own.buffer).toString("base64");
    }
  }
  return found;
}

/** How many of the sequences of `order` came out otherwise than alone. */
function differing(order, alone, found) {
  const expected = order.flatMap((example) => alone.get(example));
  if (found.length !== expected.length) throw new Error(`${found.length} sequences for ${expected.length}`);
  return expected.filter((logits, i) => logits !== found[i]).length;
}

async function compare(adapter, backbone, precision, examples, neighbours) {
  const own = await withPrecision(backbone, precision);
  const session = await backbone.engine.compile(inferenceGraph(attach(adapter, own), adapter.params), {
    prepack: prepackFor("lean", own.precision),
  });
  try {
    await session.bind(adapter.params);
    const run = (list) => logitsOf(session, adapter, own, list);
    const alone = new Map();
    for (const example of [...examples, ...neighbours]) alone.set(example, await run([example]));
    const rng = new Rng(3);
    const shuffled = [...rng.shuffle(Int32Array.from(examples.keys()))].map((i) => examples[i]);
    const arrangements = { together: [examples], shuffled: [shuffled], neighbours: [] };
    for (let start = 0; start < examples.length; ) {
      const size = 1 + rng.integer(9);
      const beside = neighbours.filter(() => rng.integer(2) === 0);
      arrangements.neighbours.push([...beside, ...shuffled.slice(start, start + size)]);
      start += size;
    }
    const counts = { sequences: examples.reduce((sum, one) => sum + alone.get(one).length, 0) };
    for (const [name, lists] of Object.entries(arrangements)) {
      counts[name] = 0;
      for (const list of lists) counts[name] += differing(list, alone, await run(list));
    }
    return counts;
  } finally {
    await session.release();
  }
}

export async function prove({ size }) {
  const isFull = size === "full";
  const [texts, epochs, names] = isFull ? [500, 4, ["minilm", "bert-base"]] : [20, 1, ["minilm"]];
  const folder = await scratch("invariance");
  const rows = [];
  try {
    for (const name of names) {
      const place = name === "minilm" ? name : await randomBackbone(name);
      const backbone = await loadBackbone(place);
      try {
        for (const [i, { recipe, method, file, odd }] of sets.entries()) {
          const adapter = await loadAdapter(
            trained({ recipe, method }, place, join(folder, `${name}-${i}`), epochs),
          );
          const reading = { ...adapter.provenance.data.table, kind: adapter.task.reads };
          const read = await readExamples(join(root, "../shared/data", file), reading);
          const examples = read.examples.slice(0, texts);
          const neighbours = oddTexts.map(odd);
          for (const precision of ["fp32", "int8"]) {
            const counts = await compare(adapter, backbone, precision, examples, neighbours);
            rows.push({
              ...{ backbone: name, recipe, ...(method && { method: method.name }), precision },
              texts: examples.length,
              ...counts,
            });
            if (isFull) console.error(JSON.stringify(rows.at(-1)));
          }
        }
      } finally {
        await backbone.close();
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const wrong = rows.filter(({ together, shuffled, neighbours }) => together + shuffled + neighbours > 0);
  if (wrong.length > 0) throw new Error(`logits depend on the company: ${JSON.stringify(wrong)}`);
  return { bar: "differing sequences: 0", rows };
}
