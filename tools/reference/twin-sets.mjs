/** What twin runs are made on: real data, the task, and its gold answers as the other half wants them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { readTable } from "ptuning/data";
import {
  questionAnswering,
  semanticRoles,
  sequenceClassification,
  spanLabels,
  tokenClassification,
} from "ptuning/tasks";

const shared = fileURLToPath(new URL("../../../shared/data/", import.meta.url));
const read = (path) => {
  const bytes = readFileSync(shared + path);
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
};
const int32 = (shape, data) => ({ dtype: "int32", shape, data: Int32Array.from(data) });
const dataset = (train, dev) => ({ train, dev, test: [], labels: [], fingerprint: "twin", warnings: [] });

/** Labels of whole texts, `[B]`. */
const textLabels = (encoded, rows) => ({
  labels: int32(
    [rows.length],
    rows.map((row) => encoded.labels[row]),
  ),
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
/** Positions of answers, `[B]` each. */
const answerPositions = (encoded, rows) => ({
  starts: int32(
    [rows.length],
    rows.map((row) => encoded.starts[row]),
  ),
  ends: int32(
    [rows.length],
    rows.map((row) => encoded.ends[row]),
  ),
});

async function texts(path, columns) {
  const data = await readTable(shared + path, columns);
  const task = sequenceClassification({ labels: data.labels, preset: "peft", headDropout: 0 });
  const names = { numLabels: data.labels.length, head: "sequence", reference: "peft" };
  return { data, task, gold: textLabels, answers: ({ label }) => [label], size: [32, 128], names };
}

function entities() {
  const split = (name) =>
    read(`conll04/bio/${name}.txt`)
      .split(/^#doc.*$/m)
      .map((block) => block.split("\n").flatMap((line) => (line === "" ? [] : [line.split("\t")])))
      .filter((rows) => rows.length > 0)
      .map((rows) => ({ words: rows.map(([, word]) => word), tags: rows.map(([, , tag]) => tag) }));
  const data = dataset(split("train"), split("dev"));
  const labels = spanLabels(data.train);
  const task = tokenClassification({ labels, headDropout: 0 });
  const names = { numLabels: labels.length, head: "token", reference: "peft" };
  return { data, task, gold: tokenLabels, answers: ({ tags }) => tags, size: [8, 128], names };
}

/** Questions about the first articles to train on, about the last as dev. */
function answers() {
  const articles = JSON.parse(read("squad1-train-prefix/train-v1.1.prefix.json.gz")).data;
  const examples = articles.map(({ paragraphs }) =>
    paragraphs.flatMap(({ context, qas }) =>
      qas.map(({ id, question, answers: gold }) => ({
        ...{ id, question, context },
        answers: gold.map(({ text, answer_start: start }) => ({ text, start })),
      })),
    ),
  );
  const data = dataset(examples.slice(0, -1).flat(), examples.at(-1).slice(0, 200));
  const task = questionAnswering({ stride: 64 });
  const names = { numLabels: 2, head: "span", reference: "peft" };
  return { data, task, gold: answerPositions, answers: ({ text }) => [text], size: [4, 192], names };
}

/** Brackets of a role column → IOB2 tags. */
function bracketTags(cells) {
  let role;
  return cells.map((cell) => {
    const opened = cell.match(/\(([^*()]+)\*/)?.[1];
    role = opened ?? role;
    const tag = role === undefined ? "O" : `${opened === undefined ? "I" : "B"}-${role}`;
    if (cell.endsWith(")")) role = undefined;
    return tag;
  });
}

function roles(predicateMarking) {
  const split = (name) =>
    read(`ewt-propbank/${name}.gold_conll.gz`)
      .split(/\n\s*\n/)
      .map((block) =>
        block.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim().split(/\s+/)])),
      )
      .flatMap((rows) => {
        const words = rows.map((row) => row[3]);
        const predicates = rows.flatMap((row, at) => (row[6] === "-" ? [] : [at]));
        return predicates.map((_, i) => {
          const tags = bracketTags(rows.map((row) => row[8 + i]));
          return { words, predicate: Math.max(0, tags.indexOf("B-V")), tags };
        });
      });
  const data = dataset(split("train").slice(0, 2000), split("dev").slice(0, 200));
  const labels = spanLabels(data.train);
  const task = semanticRoles({ labels, predicateMarking, headDropout: 0 });
  const names = { numLabels: labels.length, head: "token", reference: "plain" };
  return { data, task, gold: tokenLabels, answers: ({ tags }) => tags, size: [8, 128], names };
}

/** Every twin run. */
export const sets = {
  trec: () => texts("trec/train.txt", { text: 1, labelPattern: "^(?<label>\\w+):\\S+ (?<text>.*)$" }),
  rte: () =>
    texts("superglue-rte/train.jsonl", {
      text: ["premise", "hypothesis"],
      label: "label",
      dev: `${shared}superglue-rte/val.jsonl`,
    }),
  conll04: entities,
  squad: answers,
  "ewt-word": () => roles("word"),
  "ewt-token-type": () => roles("token-type"),
};
