/**
 * Mutated adapters, sidecars, backbones, configurations and data files: each gives an answer or an error of ours, never
 * the end of the process, a hang, a defect or a number that is none. Cases are made from a seed and run in batches in
 * child processes, so that a case which ends its process is known and the others run on.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { scratch } from "../scratch.mjs";
import { internals } from "./support/part.mjs";

const self = fileURLToPath(import.meta.url);
const hangSeconds = 20;
const batch = 200;
const seed = 7;
const counts = { small: 200, full: 10_000 };

/** Kinds of cases, with their share of all. */
const shares = {
  sidecar: 3,
  tensors: 2,
  config: 1,
  weights: 1,
  tokenizer: 0.15,
  yaml: 2,
  data: 3,
  parquet: 1,
};

/** Runs the cases; throws where one is neither an answer nor an error of ours. */
export async function prove({ size }) {
  const total = counts[size];
  const folder = await scratch("fuzz");
  const figures = {};
  const failures = [];
  try {
    for (let start = 0; start < total; ) {
      const end = Math.min(start + batch, total);
      start = await runBatch(folder, start, end, figures, failures);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (failures.length > 0)
    throw new Error(`${failures.length} of ${total} cases failed: ${JSON.stringify(failures.slice(0, 10))}`);
  return { bar: `${total} cases, seed ${seed}: answers or errors of ours`, cases: total, outcomes: figures };
}

/** @returns the case to go on with: behind the last, or behind the one that ended its process */
function runBatch(folder, start, end, figures, failures) {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ["--max-old-space-size=1024", self, folder, String(start), String(end)],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, PTUNING_CACHE: join(folder, "cache") },
      },
    );
    let [next, stderr, hung] = [start, "", false];
    const timer = () => setTimeout(() => (hung = child.kill("SIGKILL")), hangSeconds * 1000);
    let watch = timer();
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr = (stderr + text).slice(-2000)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      clearTimeout(watch);
      watch = timer();
      const { number, kind, outcome, failure } = JSON.parse(line);
      next = number + 1;
      figures[kind] ??= {};
      figures[kind][outcome] = (figures[kind][outcome] ?? 0) + 1;
      if (failure) failures.push({ number, kind, failure });
    });
    child.on("close", (code, signal) => {
      clearTimeout(watch);
      if (next >= end) return resolve(end);
      failures.push({ number: next, failure: hung ? "hang" : `${signal ?? code}: ${stderr}` });
      resolve(next + 1);
    });
  });
}

function chosen(rng) {
  let at = (rng.integer(1e6) / 1e6) * Object.values(shares).reduce((sum, share) => sum + share);
  for (const [kind, share] of Object.entries(shares)) {
    at -= share;
    if (at < 0) return kind;
  }
  return "data";
}

/** A tiny backbone and an adapter on it, made once. */
async function makeWorld(folder, Rng) {
  const { deepPrompt, encodeSafetensors, loadBackbone, sequenceClassification, train } = await internals(
    ...["files", "backbones", "train", "methods", "tasks"],
  );
  const [own, adapter] = [join(folder, "backbone"), join(folder, "adapter")];
  const isMade = await import("node:fs").then(({ existsSync }) => existsSync(adapter));
  if (!isMade) {
    mkdirSync(own, { recursive: true });
    writeBackbone(own, new Rng(1), encodeSafetensors);
  }
  const backbone = await loadBackbone(own);
  if (!isMade) {
    const examples = Array.from({ length: 12 }, (_, i) => ({
      text: `w${i} w${i + 1}`,
      label: i % 2 ? "a" : "b",
    }));
    const data = {
      train: examples,
      dev: examples,
      test: [],
      labels: ["a", "b"],
      fingerprint: "x",
      warnings: [],
    };
    const task = sequenceClassification({ labels: ["a", "b"] });
    const method = deepPrompt({ promptLength: 2 });
    for await (const event of train({
      backbone,
      task,
      data,
      method,
      epochs: 1,
      precision: "fp32",
      maxLength: 16,
    }))
      if (event.type === "done") await event.adapter.save(adapter);
  }
  return { backbone, own, adapter };
}

function writeBackbone(folder, rng, encodeSafetensors) {
  const [E, I, V, P] = [16, 32, 40, 24];
  const tensors = {};
  const add = (name, ...shape) => {
    const length = shape.reduce((a, b) => a * b);
    tensors[name] = { dtype: "float32", shape, data: Float32Array.from({ length }, () => rng.normal() / 4) };
  };
  const both = (name, ...shape) => {
    add(`${name}.weight`, ...shape);
    add(`${name}.bias`, shape[0]);
  };
  add("embeddings.word_embeddings.weight", V, E);
  add("embeddings.position_embeddings.weight", P, E);
  add("embeddings.token_type_embeddings.weight", 2, E);
  both("embeddings.LayerNorm", E);
  for (const layer of [0, 1]) {
    const at = `encoder.layer.${layer}`;
    for (const part of ["query", "key", "value"]) both(`${at}.attention.self.${part}`, E, E);
    both(`${at}.attention.output.dense`, E, E);
    both(`${at}.attention.output.LayerNorm`, E);
    both(`${at}.intermediate.dense`, I, E);
    both(`${at}.output.dense`, E, I);
    both(`${at}.output.LayerNorm`, E);
  }
  both("pooler.dense", E, E);
  writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(tensors));
  const config = { model_type: "bert", hidden_size: E, num_hidden_layers: 2, num_attention_heads: 2 };
  const sizes = { intermediate_size: I, vocab_size: V, max_position_embeddings: P, type_vocab_size: 2 };
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...sizes }));
  const words = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    ...Array.from({ length: V - 5 }, (_, i) => `w${i}`),
  ];
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  const special = (id) => ({ SpecialToken: { id, type_id: 0 } });
  const single = [special("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, special("[SEP]")];
  const ids = (token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }];
  const definition = {
    version: "1.0",
    added_tokens: [],
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, { Sequence: { id: "B", type_id: 1 } }, special("[SEP]")],
      special_tokens: Object.fromEntries([ids("[CLS]"), ids("[SEP]")]),
    },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(definition));
}

const oddValues = [
  ...[
    null,
    true,
    -1,
    0,
    0.5,
    2 ** 31,
    2 ** 53,
    1e308,
    -1e308,
    "",
    "constructor",
    "__proto__",
    "toString",
    "../x",
  ],
  ...[
    [],
    {},
    [[]],
    [null],
    { toString: 1 },
    "a".repeat(5000),
    "\u0000",
    "(a+)+$",
    [1e9],
    JSON.parse("[".repeat(500) + "]".repeat(500)),
  ],
];

/** One value somewhere inside becomes another, goes, or comes twice. */
function mutateJson(rng, json) {
  const places = [];
  const walk = (value) => {
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) {
      places.push([value, key]);
      walk(value[key]);
    }
  };
  walk(json);
  for (let n = 1 + rng.integer(2); n > 0 && places.length > 0; n--) {
    const [parent, key] = places[rng.integer(places.length)];
    const how = rng.integer(4);
    if (how === 0) delete parent[key];
    else if (how === 1) parent[`${key}x`] = parent[key];
    else parent[key] = oddValues[rng.integer(oddValues.length)];
  }
  return json;
}

/** Some bytes become others, are cut off, come twice or get company. */
function mutateBytes(rng, bytes, most = bytes.length) {
  let changed = Buffer.from(bytes);
  for (let n = 1 + rng.integer(3); n > 0; n--) {
    const at = rng.integer(Math.max(1, Math.min(most, changed.length)));
    const odd = Buffer.from(
      ["\0", "\uffff", '"', "[", "]", "{", "}", "\n", ",", ":", "*", "&", "!", "-1", "1e999", "\t"][
        rng.integer(16)
      ],
    );
    const random = Buffer.from(Array.from({ length: 1 + rng.integer(8) }, () => rng.integer(256)));
    const parts = [
      () => [changed.subarray(0, at)],
      () => [changed.subarray(0, at), odd, changed.subarray(at)],
      () => [changed.subarray(0, at), random, changed.subarray(at + random.length)],
      () => [changed.subarray(0, at), changed.subarray(at + 1)],
      () => [changed, changed.subarray(at)],
    ][rng.integer(5)]();
    changed = Buffer.concat(parts);
  }
  return changed;
}

function copyWith(from, to, file, change) {
  cpSync(from, to, { recursive: true });
  const path = join(to, file);
  writeFileSync(path, change(readFileSync(path)));
}

const asJson = (rng) => (bytes) =>
  rng.integer(4) === 0 ? mutateBytes(rng, bytes) : JSON.stringify(mutateJson(rng, JSON.parse(bytes)));

/** Header and numbers of a safetensors file. */
const asTensors = (rng) => (bytes) =>
  mutateBytes(rng, bytes, rng.integer(2) === 0 ? Number(bytes.readBigUInt64LE(0)) + 8 : bytes.length);

async function predictWith(folder, backbone) {
  const [{ loadAdapter }, { createPredictor }] = await Promise.all([
    import("ptuning/internal/adapters"),
    import("ptuning/internal/predict"),
  ]);
  const predictor = await createPredictor(await loadAdapter(folder), backbone, { precision: "fp32" });
  try {
    expectNumbers(await predictor.predict([{ text: "w1 w2" }, { text: "other" }]));
  } finally {
    await predictor.close();
  }
}

function expectNumbers(value) {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`an answer holds ${value}`);
  if (typeof value === "object" && value !== null)
    for (const part of Object.values(value)) expectNumbers(part);
}

async function loadChanged(folder) {
  const { loadBackbone } = await import("ptuning/internal/backbones");
  const backbone = await loadBackbone(folder);
  await backbone.close();
}

const yaml = `backbone: minilm
data: {train: a.csv, text: [a, b], label: c, labelPattern: "^(?<label>x)", devShare: 0.2, limit: 100}
task: {type: text-classification, pooling: mean, classWeights: {a: 1, b: 2}, headDropout: 0.1}
method: {name: p-tuning-v2, promptLength: 8, promptLayers: {last: 2}, prefixHiddenSize: 64}
training: {epochs: 3, batchSize: 8, learningRate: 1e-2, evaluateEvery: epoch, sampling: {temperature: 2}}
engine: {threads: 2}
search: {strategy: grid, space: {training.learningRate: [1e-3, 1e-2], method.promptLength: {uniform: [2, 9], step: 1}}}
`;

const dataFiles = {
  csv: 'text,label\n"a, b",x\nc,y\nd,x\n',
  tsv: "text\tlabel\na b\tx\nc\ty\n",
  jsonl: '{"text":"a","label":"x"}\n{"text":"b","label":"y","more":[1,{"a":null}]}\n',
  json: '{"data":[{"title":"t","paragraphs":[{"context":"a b c","qas":[{"id":"1","question":"q","answers":[{"text":"b","answer_start":2}]}]}]}]}',
  conll: "EU NNP B-ORG\nrejects VBZ O\n\nPeter NNP B-PER\n",
  conllu: "# text = a b\n1\ta\ta\tNOUN\t_\t_\t0\troot\t_\t_\n2\tb\tb\tVERB\t_\t_\t1\tx\t_\t_\n\n",
  txt: "__label__x some text\n__label__y other text\n__label__x third\n",
  doccano: '{"text":"a b c","label":[[2,3,"X"]]}\n{"text":"d","label":[]}\n',
};

/** Of all ways to pack values, with nested ones. */
const fixtures = new URL("../../test/data/fixtures/", import.meta.url);
const parquetFiles = readdirSync(fixtures).filter((name) => name.endsWith(".parquet"));

async function readMutated(rng, path, bytes) {
  const { guessReading, openExamples } = await import("ptuning/data");
  mkdirSync(dirname(path));
  writeFileSync(path, mutateBytes(rng, bytes));
  const damaged = rng.integer(2) === 0 ? { damaged: "skip" } : {};
  const { kind, options } = await guessReading(path, damaged);
  for await (const _example of (await openExamples(path, { ...options, ...damaged, kind })).examples);
}

/** Kinds of cases by name: each answers or throws. */
const cases = {
  async sidecar({ backbone, adapter }, rng, folder) {
    copyWith(
      adapter,
      folder,
      ["ptuning.json", "ptuning.json", "adapter_config.json"][rng.integer(3)],
      asJson(rng),
    );
    await predictWith(folder, backbone);
  },
  async tensors({ backbone, adapter }, rng, folder) {
    copyWith(adapter, folder, "adapter_model.safetensors", asTensors(rng));
    await predictWith(folder, backbone);
  },
  async config(world, rng, folder) {
    copyWith(world.own, folder, "config.json", asJson(rng));
    await loadChanged(folder);
  },
  async weights(world, rng, folder) {
    copyWith(world.own, folder, "model.safetensors", asTensors(rng));
    await loadChanged(folder);
  },
  async tokenizer(world, rng, folder) {
    copyWith(world.own, folder, "tokenizer.json", asJson(rng));
    await loadChanged(folder);
  },
  async yaml(_, rng) {
    const { parseRunConfig } = await import("ptuning/internal/config");
    parseRunConfig({ text: mutateBytes(rng, Buffer.from(yaml)).toString("utf8"), where: "run.yaml" });
  },
  async data(_, rng, folder) {
    const [name, text] = Object.entries(dataFiles)[rng.integer(Object.keys(dataFiles).length)];
    const path = join(folder, `data.${name === "doccano" ? "jsonl" : name}`);
    await readMutated(rng, path, Buffer.from(text));
  },
  async parquet(_, rng, folder) {
    const bytes = readFileSync(new URL(parquetFiles[rng.integer(parquetFiles.length)], fixtures));
    await readMutated(rng, join(folder, "data.parquet"), bytes);
  },
};

if (process.argv[1] === self && process.argv.length > 4) {
  const [folder, start, end] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
  const { Rng } = await import("ptuning/internal/core");
  const world = await makeWorld(folder, Rng);
  for (let number = start; number < end; number++) {
    const rng = new Rng(seed, `case ${number}`);
    const kind = chosen(rng);
    let [outcome, failure] = ["answer", undefined];
    try {
      await cases[kind](world, rng, join(folder, `case-${number}`));
    } catch (error) {
      outcome = error?.name === "PtuningError" ? error.code : "defect";
      if (outcome === "defect") failure = String(error?.stack ?? error).slice(0, 600);
    }
    rmSync(join(folder, `case-${number}`), { recursive: true, force: true });
    console.log(JSON.stringify({ number, kind, outcome, failure }));
  }
  await world.backbone.close();
  process.exit(0);
}
