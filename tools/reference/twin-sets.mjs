/** What twin runs are made on: real data, the task, and its gold answers as the other half wants them. */
import { fileURLToPath } from "node:url";
import { readDataset, readTable } from "ptuning/data";
import {
  questionAnswering,
  semanticRoles,
  sequenceClassification,
  spanLabels,
  tokenClassification,
} from "ptuning/tasks";

const shared = fileURLToPath(new URL("../../../shared/data/", import.meta.url));
const int32 = (shape, data) => ({ dtype: "int32", shape, data: Int32Array.from(data) });
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

async function texts(path, columns) {
  const data = await readTable(shared + path, columns);
  const task = sequenceClassification({ labels: data.labels, preset: "peft", headDropout: 0 });
  const other = { head: "sequence", numLabels: data.labels.length, reference: "peft" };
  return { data, task, other, gold: textLabels, answers: ({ label }) => [label], size: [32, 128] };
}

async function entities() {
  const data = await readDataset(`${shared}conll04/bio`, { kind: "tokens", tokenColumn: 2, tagColumn: 3 });
  const labels = spanLabels(data.train);
  const task = tokenClassification({ labels, headDropout: 0 });
  const other = { head: "token", numLabels: labels.length, reference: "peft" };
  return { data, task, other, gold: tokenLabels, answers: ({ tags }) => tags, size: [8, 128] };
}

async function questions() {
  const path = `${shared}squad1-train-prefix/train-v1.1.prefix.json.gz`;
  const whole = await readDataset(path, { kind: "answers" });
  const data = { ...whole, dev: whole.dev.slice(0, 200) };
  const task = questionAnswering({ stride: 64 });
  const other = { head: "span", numLabels: 2, reference: "peft" };
  return { data, task, other, gold: answerPositions, answers: ({ text }) => [text], size: [4, 192] };
}

async function roles(predicateMarking) {
  const dev = `${shared}ewt-propbank/dev.gold_conll.gz`;
  const whole = await readDataset(`${shared}ewt-propbank/train.gold_conll.gz`, { kind: "roles", dev });
  const data = { ...whole, train: whole.train.slice(0, 2000), dev: whole.dev.slice(0, 200) };
  const labels = spanLabels(data.train);
  const task = semanticRoles({ labels, predicateMarking, headDropout: 0 });
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
    texts("superglue-rte/train.jsonl", {
      text: ["premise", "hypothesis"],
      label: "label",
      dev: `${shared}superglue-rte/val.jsonl`,
    }),
  conll04: entities,
  squad: questions,
  "ewt-word": () => roles("word"),
  "ewt-token-type": () => roles("token-type"),
};
