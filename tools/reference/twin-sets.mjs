/** What twin runs are made on: real data, the task, and its gold answers as the other half wants them. */
import { fileURLToPath } from "node:url";
import { decodeTags, readDataset, readTable } from "ptuning/data";
import {
  familyOf,
  questionAnswering,
  semanticRoles,
  sequenceClassification,
  spanLabels,
  tokenClassification,
} from "ptuning/tasks";

const shared = fileURLToPath(new URL("../../../shared/data/", import.meta.url));
const int32 = (shape, data) => ({ dtype: "int32", shape, data: Int32Array.from(data) });
const float32 = (shape, data) => ({ dtype: "float32", shape, data: Float32Array.from(data) });
const perRow = (rows, values) =>
  int32(
    [rows.length],
    rows.map((row) => values[row]),
  );

/** Labels of whole texts, `[B]`. */
const textLabels = (encoded, rows) => ({ labels: perRow(rows, encoded.labels) });
/** Positions of answers, `[B]` each. */
const answerPositions = (encoded, rows) => ({
  starts: perRow(rows, encoded.starts),
  ends: perRow(rows, encoded.ends),
});
/** Labels of tokens, `[B, S]`, −100 where none counts. */
function tokenLabels(encoded, rows, length) {
  const labels = int32([rows.length, length], new Int32Array(rows.length * length).fill(-100));
  for (const [b, row] of rows.entries()) {
    for (let i = encoded.answerStarts[row]; i < encoded.answerStarts[row + 1]; i++) {
      const label = encoded.labels[encoded.answered[i]];
      if (label >= 0) labels.data[b * length + encoded.positions[i]] = label;
    }
  }
  return { labels };
}

/** Which of the labels texts have, `[B, C]`. */
const labelSets = (count) => (encoded, rows) => ({
  labels: float32([rows.length, count], Array.from(rows, (row) => encoded.labels[row]).flat()),
});
/** Scores as the model learns them, `[B]`. */
const scores = (encoded, rows) => ({
  scores: float32(
    [rows.length],
    Array.from(rows, (row) => encoded.labels[row]),
  ),
});
/** Numbers of alternatives and of the right one, `[items]` each. */
function choices({ items, itemStarts, labels }, rows) {
  const own = [...new Set(Array.from(rows, (row) => items[row]))];
  return {
    sizes: int32(
      [own.length],
      own.map((item) => itemStarts[item + 1] - itemStarts[item]),
    ),
    labels: int32(
      [own.length],
      own.map((item) => labels[item]),
    ),
  };
}

async function texts(path, columns, size = [32, 128]) {
  const data = await readTable(shared + path, columns);
  const task = sequenceClassification({ labels: data.labels, preset: "peft", headDropout: 0 });
  const other = { head: "sequence", numLabels: data.labels.length, reference: "peft" };
  return { data, task, other, gold: textLabels, answers: ({ label }) => [label], size };
}

/** A task that PEFT has no type for: a linear layer on the mean of the tokens, beside plain PyTorch. */
function pooled(type, data, settings = {}) {
  const { resolve, create } = familyOf(type);
  const task = create(resolve({ pooling: "mean", headDropout: 0, ...settings }, data));
  return { data, task, other: { head: "sequence", loss: type, reference: "plain" } };
}

/** MIT movie's questions, with the types of their slots as labels. */
async function slotTypes() {
  const tagged = await readDataset(`${shared}mit-movie/train.gz`, {
    kind: "tokens",
    dev: `${shared}mit-movie/valid`,
  });
  const labelled = ({ words, tags }) => ({
    text: words.join(" "),
    labels: [...new Set(decodeTags(tags).map(({ type }) => type))],
  });
  const [train, dev] = [tagged.train, tagged.dev].map((examples) => examples.map(labelled));
  const labels = [...new Set(train.flatMap((example) => example.labels))].sort();
  const data = { ...tagged, train, dev, labels };
  const parts = pooled("multi-label", data, { threshold: 0.5 });
  return {
    ...parts,
    gold: labelSets(labels.length),
    answers: ({ labels }) => [labels.join()],
    size: [16, 64],
  };
}

async function similarity() {
  const dev = `${shared}glue-stsb/sts-dev.tsv`;
  const data = await readDataset(`${shared}glue-stsb/sts-train.tsv`, {
    kind: "text",
    text: [6, 7],
    score: 5,
    dev,
  });
  return {
    ...pooled("regression", data),
    gold: scores,
    answers: ({ score }) => [score.toFixed(2)],
    size: [16, 64],
  };
}

async function alternatives() {
  const dev = `${shared}superglue-copa/val.jsonl`;
  const data = await readDataset(`${shared}superglue-copa/train.jsonl`, { kind: "choices", dev });
  return {
    ...pooled("multiple-choice", data),
    gold: choices,
    answers: ({ choice }) => [choice],
    size: [8, 64],
  };
}

async function entities() {
  const data = await readDataset(`${shared}conll04/bio`, { kind: "tokens", tokenColumn: 2, tagColumn: 3 });
  const labels = spanLabels(data.train);
  const task = tokenClassification({ labels, headDropout: 0, decoding: "argmax" });
  const other = { head: "token", numLabels: labels.length, reference: "peft" };
  return { data, task, other, gold: tokenLabels, answers: ({ tags }) => tags, size: [8, 128] };
}

async function questions() {
  const path = `${shared}squad1-train-prefix/train-v1.1.prefix.json.gz`;
  const whole = await readDataset(path, { kind: "answers" });
  const data = { ...whole, train: whole.train.slice(0, 1000), dev: whole.dev.slice(0, 200) };
  const task = questionAnswering({ stride: 64 });
  const other = { head: "span", numLabels: 2, reference: "peft" };
  return { data, task, other, gold: answerPositions, answers: ({ text }) => [text], size: [4, 192] };
}

async function roles(predicateMarking) {
  const dev = `${shared}ewt-propbank/dev.gold_conll.gz`;
  const whole = await readDataset(`${shared}ewt-propbank/train.gold_conll.gz`, { kind: "roles", dev });
  const data = { ...whole, train: whole.train.slice(0, 2000), dev: whole.dev.slice(0, 200) };
  const labels = spanLabels(data.train);
  const task = semanticRoles({ labels, predicateMarking, headDropout: 0, decoding: "argmax" });
  const other = { head: "token", numLabels: labels.length, reference: "plain" };
  return { data, task, other, gold: tokenLabels, answers: ({ tags }) => tags, size: [8, 128] };
}

/**
 * Every twin run: `data`, `task`, what the `other` half must know, the `gold` answers of some sequences, the
 * `answers` that a prediction gives, and batch `size` and greatest length.
 */
export const sets = {
  trec: () => texts("trec/train.txt", { text: 1, labelPattern: "^(?<label>\\w+):\\S+ (?<text>.*)$" }),
  rte: () =>
    texts(
      "superglue-rte/train.jsonl",
      { text: ["premise", "hypothesis"], label: "label", dev: `${shared}superglue-rte/val.jsonl` },
      [8, 128],
    ),
  "mit-movie-types": slotTypes,
  stsb: similarity,
  copa: alternatives,
  conll04: entities,
  squad: questions,
  "ewt-word": () => roles("word"),
  "ewt-token-type": () => roles("token-type"),
};
