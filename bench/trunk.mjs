/**
 * Trunk caching: seconds of an epoch with prompts on the top layers, the layers beneath read from the cache, against the
 * same run that computes them. Dropout is off in both, as the cache leaves it out beneath the prompts.
 */
import { loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { deepPrompt } from "ptuning/internal/methods";
import { markdownTable } from "ptuning/internal/report";
import { train } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { randomBackbone } from "./random-backbone.mjs";

const works = [
  { name: "MiniLM", backbone: "minilm", layers: 6, words: 18, examples: 320 },
  { name: "BERT-base", backbone: "bert-base", layers: 12, words: 62, examples: 128 },
];
const shares = { "top half": 1 / 2, "top quarter": 1 / 4 };
/** A quarter of six layers is two. */
const promptedLayers = (layers, share) => Math.round(layers * shares[share]);

function dataSet(count, words) {
  const rng = new Rng(3);
  const train = Array.from({ length: count }, (_, i) => ({
    text: Array.from({ length: words }, () => `w${rng.integer(20_000)}`).join(" "),
    label: i % 2 ? "odd" : "even",
  }));
  return { train, dev: [], test: [], labels: ["even", "odd"], fingerprint: "bench", warnings: [] };
}

/** Mean seconds of a step in each epoch after the first, which warms up. */
async function epochSeconds(backbone, data, prompted, trunkCache, precision, epochs) {
  const sums = new Array(epochs).fill(0);
  let cacheSeconds = 0;
  const options = {
    backbone,
    data,
    task: sequenceClassification({ labels: data.labels }),
    method: deepPrompt({ promptLength: 20, promptLayers: { last: prompted } }),
    epochs,
    hiddenDropout: 0,
    attentionDropout: 0,
    precision,
    trunkCache,
  };
  for await (const event of train(options)) {
    if (event.type === "step") sums[event.epoch - 1] += event.seconds;
    if (event.type === "trunk") cacheSeconds = event.seconds;
  }
  return { epochs: sums.slice(1), cacheSeconds };
}

export async function measure({ quick }) {
  const rows = [];
  for (const { name, backbone: place, layers, words, examples } of works) {
    const folder = place === "minilm" ? place : await randomBackbone(place);
    const data = dataSet(examples, words);
    for (const precision of ["fp32", "int8"]) {
      for (const share of Object.keys(shares)) {
        const rounds = [];
        for (let round = 0; round < (quick ? 1 : 3); round++) {
          const backbone = await loadBackbone(folder);
          const prompted = promptedLayers(layers, share);
          const plain = await epochSeconds(backbone, data, prompted, "off", precision, 3);
          const cached = await epochSeconds(backbone, data, prompted, "memory", precision, 3);
          await backbone.close();
          const least = (values) => Math.min(...values);
          rounds.push({
            plain: least(plain.epochs),
            cached: least(cached.epochs),
            cacheSeconds: cached.cacheSeconds,
          });
        }
        rows.push({ name, precision, share, rounds });
        process.stderr.write(`${name} ${precision} ${share}\n`);
      }
    }
  }
  return { rows };
}

export function table({ rows }) {
  const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  const columns = [
    "backbone",
    "precision",
    "prompts on",
    "epoch s",
    "cached s",
    "ratio",
    "making the cache s",
  ];
  const layersOf = (name) => works.find((work) => work.name === name).layers;
  const cells = rows.map(({ name, precision, share, rounds }) => [
    name,
    precision,
    `${share}: ${promptedLayers(layersOf(name), share)} of ${layersOf(name)}`,
    median(rounds.map(({ plain }) => plain)).toFixed(2),
    median(rounds.map(({ cached }) => cached)).toFixed(2),
    median(rounds.map(({ plain, cached }) => cached / plain)).toFixed(2),
    median(rounds.map(({ cacheSeconds }) => cacheSeconds)).toFixed(2),
  ]);
  return `## Trunk caching\n\n${markdownTable(
    columns.map((title) => ({ title })),
    cells,
  )}`;
}
