/** Every format written by hand: records with random content, and the examples that they must be read as. */

import type { ExampleKind, FormatName, ReadOptions } from "ptuning/data";
import type { Rng } from "ptuning/internal/core";

/** One record as a file has it, without its end, and its examples without line numbers. */
interface WrittenRecord {
  readonly text: string;
  readonly examples: readonly object[];
}

export interface WrittenFormat {
  readonly kind: ExampleKind;
  readonly options?: ReadOptions;
  readonly head?: string;
  readonly foot?: string;
  /** Whether the foot is a record that no reader takes. */
  readonly endsOdd?: true;
  /** What ends a record; default a line end, which may be \r\n too. */
  readonly end?: string;
  /** Parallel files: the record's lines, one per file. */
  readonly files?: readonly string[];
  /**
   * Which untouched records must be read although others are damaged: all of them, or those before the damage, because
   * what is damaged is one document.
   */
  readonly survives: "all" | "before";
  record(rng: Rng, number: number): WrittenRecord;
}

const words = [
  "Paris",
  "naïve",
  "東京",
  "😀",
  "a",
  "x-y",
  "'s",
  "Ünïcode",
  "é",
  "it",
  "O",
  "B-X",
  "42",
  "(",
  "–",
  "e\u0301",
];
const types = ["PER", "LOC", "Other"];

function pick<T>(rng: Rng, items: readonly T[]): T {
  return items[rng.integer(items.length)]!;
}

function some(rng: Rng, least = 1, most = 6): string[] {
  return Array.from({ length: least + rng.integer(most - least + 1) }, () => pick(rng, words));
}

function sentence(rng: Rng): string {
  return some(rng, 2, 9).join(" ");
}

function tagsFor(rng: Rng, count: number): string[] {
  return Array.from({ length: count }, () => (rng.integer(2) === 0 ? "O" : `B-${pick(rng, types)}`));
}

function codePoints(text: string): number {
  return Array.from(text).length;
}

/** A text with one span, and the example that it makes; `unit` counts the offsets. */
function spanned(
  rng: Rng,
  unit: (text: string) => number,
): { text: string; start: number; end: number; label: string; part: string; example: object } {
  const [before, inside, after] = [some(rng), some(rng), some(rng)].map((list) =>
    // Words that the splitter keeps whole, so that what is expected can be written down here.
    list.map((word) => (/^[\p{L}\p{N}]+$/u.test(word) && word !== "東京" ? word : "word")),
  ) as [string[], string[], string[]];
  const text = [...before, ...inside, "😀", ...after].join(" ");
  const label = pick(rng, types);
  const head = before.join(" ");
  const part = inside.join(" ");
  const all = [...before, ...inside, "😀", ...after];
  let at = 0;
  const offsets = all.map((word) => {
    const start = at;
    at += word.length + 1;
    return [start, start + word.length];
  });
  const tags = all.map((_, i) =>
    i < before.length || i >= before.length + inside.length
      ? "O"
      : `${i === before.length ? "B" : "I"}-${label}`,
  );
  const start = unit(`${head} `);
  return { text, start, end: start + unit(part), label, part, example: { words: all, tags, text, offsets } };
}

const utf16 = (text: string): number => text.length;

function roleRecord(rng: Rng): {
  words: string[];
  predicate: number;
  tags: string[];
  cells: string[];
  sense: string;
} {
  const list = some(rng, 2, 7);
  const predicate = rng.integer(list.length);
  const tags: string[] = list.map((_, i) => (i === predicate ? "B-V" : "O"));
  const cells: string[] = list.map((_, i) => (i === predicate ? "(V*)" : "*"));
  const first = rng.integer(list.length - 1);
  if (first !== predicate && first + 1 !== predicate) {
    [tags[first], tags[first + 1]] = ["B-ARG1", "I-ARG1"];
    [cells[first], cells[first + 1]] = ["(ARG1*", "*)"];
  }
  return { words: list, predicate, tags, cells, sense: `go.0${rng.integer(9)}` };
}

function bracketRows(
  rng: Rng,
  row: (word: string, i: number, sense: string, cell: string) => string,
): WrittenRecord {
  const { words: list, predicate, tags, cells, sense } = roleRecord(rng);
  const text = list.map((word, i) => row(word, i, i === predicate ? sense : "-", cells[i]!)).join("\n");
  return { text, examples: [{ words: list, predicate, sense, tags }] };
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

/** A JSON line for a SuperGLUE record. */
function line(fields: object, ...examples: object[]): WrittenRecord {
  return { text: JSON.stringify(fields), examples };
}

const truth = (rng: Rng): boolean => rng.integer(2) === 1;

export const writtenFormats: { readonly [F in Exclude<FormatName, "parquet">]: WrittenFormat } = {
  csv: {
    kind: "text",
    options: { text: ["a", "b"], label: "y" },
    head: "a,b,y\n",
    survives: "all",
    record(rng) {
      const [text, pair, label] = [`${sentence(rng)}, "x"`, sentence(rng), pick(rng, types)];
      return { text: `${quoted(text)},${pair},${label}`, examples: [{ text, pair, label }] };
    },
  },
  tsv: {
    kind: "text",
    options: { text: "a", label: "y" },
    head: "a\ty\n",
    survives: "all",
    record(rng) {
      const [text, label] = [`"${sentence(rng)}`, pick(rng, types)];
      return { text: `${text}\t${label}`, examples: [{ text, label }] };
    },
  },
  jsonl: {
    kind: "text",
    options: { text: "t", labels: "ys", score: "s", group: "g" },
    survives: "all",
    record(rng, number) {
      const [text, labels, score] = [
        `${sentence(rng)}\n"`,
        [...new Set([pick(rng, types), pick(rng, types)])],
        rng.uniform(),
      ];
      return line(
        { t: text, ys: labels, s: score, g: number },
        { text, labels, score, group: String(number) },
      );
    },
  },
  json: {
    kind: "text",
    options: { text: "t", label: "y" },
    head: "[",
    foot: '{"t": "", "y": "x"}]',
    end: ",\n",
    survives: "before",
    record(rng) {
      const [text, label] = [`${sentence(rng)}\n"`, pick(rng, types)];
      return line({ t: text, y: label }, { text, label });
    },
  },
  lines: {
    kind: "text",
    options: { text: 1, labelPattern: "^(?<label>\\w+) (?<text>.*)$" },
    survives: "all",
    record(rng) {
      const [text, label] = [sentence(rng), pick(rng, types)];
      return { text: `${label} ${text}`, examples: [{ text, label }] };
    },
  },
  conll: {
    kind: "tokens",
    end: "\n\n",
    survives: "all",
    record(rng) {
      const list = some(rng);
      const tags = tagsFor(rng, list.length);
      return {
        text: list.map((word, i) => `${word}\tx\t${tags[i]}`).join("\n"),
        examples: [{ words: list, tags }],
      };
    },
  },
  conllu: {
    kind: "tokens",
    end: "\n\n",
    survives: "all",
    record(rng) {
      const list = some(rng);
      const tags = tagsFor(rng, list.length);
      return {
        text: list.map((word, i) => `${i}\t${word}\t${tags[i]}`).join("\n"),
        examples: [{ words: list, tags }],
      };
    },
  },
  "conllu-roles": {
    kind: "roles",
    end: "\n\n",
    survives: "all",
    record(rng, number) {
      const { words: list, predicate, sense } = roleRecord(rng);
      const head = (predicate + 1) % list.length;
      const rows = list.map((word, i) => {
        const role = i === predicate ? "V" : i === head ? "ARG1" : i % 2 === 0 ? "_" : "";
        return `${i + 1}\t${word}${"\t_".repeat(8)}\t${i === predicate ? sense : "_"}\t${role}`;
      });
      const tags = list.map((_, i) => (i === predicate ? "B-V" : i === head ? "B-ARG1" : "O"));
      return {
        text: [`# sent_id = s${number}`, ...rows].join("\n"),
        examples: [{ words: list, predicate, sense, tags, group: `s${number}` }],
      };
    },
  },
  "word-tags": {
    kind: "tokens",
    survives: "all",
    record(rng) {
      const list = some(rng).map((word) => (rng.integer(4) === 0 ? `${word}:00` : word));
      const tags = tagsFor(rng, list.length);
      return {
        text: `${list.map((word, i) => `${word}:${tags[i]}`).join(" ")} <=> <NULL>`,
        examples: [{ words: list, tags }],
      };
    },
  },
  snips: {
    kind: "tokens",
    files: ["seq.in", "seq.out", "label"],
    survives: "all",
    record(rng) {
      const list = some(rng);
      const tags = tagsFor(rng, list.length);
      return {
        text: [`${list.join(" ")} `, tags.join(" "), "Play"].join("\n"),
        examples: [{ words: list, tags }],
      };
    },
  },
  clinc: {
    kind: "text",
    head: '{"oos_train": [],\n "val": [["a", "b"]], "train": [\n',
    foot: "[]]}",
    endsOdd: true,
    end: ",\n",
    options: { split: "train" },
    survives: "before",
    record(rng) {
      const [text, label] = [sentence(rng), pick(rng, types)];
      return { text: JSON.stringify([text, label]), examples: [{ text, label }] };
    },
  },
  spert: {
    kind: "tokens",
    head: "[",
    foot: '{"tokens": []}]',
    endsOdd: true,
    end: ",\n",
    survives: "before",
    record(rng) {
      const list = some(rng, 2);
      const entity = { type: "Loc", start: 0, end: 2 };
      const own = { words: list, tags: list.map((_, i) => ["B-Loc", "I-Loc"][i] ?? "O") };
      if (truth(rng)) return line({ tokens: list, entities: [entity] }, own);
      return line({ tokens: list, tags: own.tags, orig_id: 1 }, own);
    },
  },
  squad: {
    kind: "answers",
    head: '{"version": "1.1", "data": [\n',
    foot: '{"paragraphs": []}]}',
    end: ",\n",
    survives: "before",
    record(rng, number) {
      const [before, text] = [sentence(rng), `answer ${number}`];
      const context = `${before} ${text} ${sentence(rng)}`;
      const answers = [{ text, answer_start: codePoints(before) + 1 }];
      const qas = [
        { id: `${number}`, question: "who?", answers },
        { id: `${number}n`, question: "why?", is_impossible: true, answers: [], plausible_answers: answers },
      ];
      const group = `article ${number}`;
      return line(
        { title: group, paragraphs: [{ context, qas }] },
        { id: `${number}`, question: "who?", context, answers: [{ text, start: before.length + 1 }], group },
        { id: `${number}n`, question: "why?", context, answers: [], group },
      );
    },
  },
  "gold-conll": {
    kind: "roles",
    end: "\n\n",
    survives: "all",
    record: (rng) =>
      bracketRows(
        rng,
        (word, i, sense, cell) => `d.xml  0 ${i}   ${word}  NN (NP*)  ${sense} ${sense}  ${cell}`,
      ),
  },
  "conll-2012": {
    kind: "roles",
    end: "\n\n",
    head: "#begin document (x); part 000\n",
    foot: "#end document\n",
    survives: "all",
    record: (rng) =>
      bracketRows(rng, (word, i, sense, cell) => `d 0 ${i} ${word} NN (NP*) go ${sense} - - * ${cell} (0)`),
  },
  "conll-2005": {
    kind: "roles",
    end: "\n\n",
    survives: "all",
    record: (rng) => bracketRows(rng, (word, _, sense, cell) => `${word} NN (NP*) * - ${sense} ${cell}`),
  },
  "role-lines": {
    kind: "roles",
    survives: "all",
    record(rng) {
      const { words: list, predicate, tags } = roleRecord(rng);
      return {
        text: `${predicate} ${list.join(" ")} ||| ${tags.join(" ")}`,
        examples: [{ words: list, predicate, tags, group: list.join(" ") }],
      };
    },
  },
  boolq: {
    kind: "text",
    survives: "all",
    record(rng, idx) {
      const [question, passage, label] = [sentence(rng), sentence(rng), truth(rng)];
      return line({ question, passage, idx, label }, { text: question, pair: passage, label: String(label) });
    },
  },
  nli: {
    kind: "text",
    survives: "all",
    record(rng, idx) {
      const [premise, hypothesis, label] = [
        sentence(rng),
        sentence(rng),
        pick(rng, ["entailment", "neutral"]),
      ];
      return line({ premise, hypothesis, label, idx }, { text: premise, pair: hypothesis, label });
    },
  },
  copa: {
    kind: "choices",
    survives: "all",
    record(rng, idx) {
      const [premise, choice1, choice2, label] = [
        sentence(rng),
        sentence(rng),
        sentence(rng),
        rng.integer(2),
      ];
      const question = pick(rng, ["cause", "effect"]);
      const text = `${premise} ${question === "cause" ? "because" : "so"}`;
      return line(
        { premise, choice1, choice2, question, label, idx },
        { text, choices: [choice1, choice2], label },
      );
    },
  },
  wic: {
    kind: "text",
    survives: "all",
    record(rng, idx) {
      const [word, sentence1, sentence2, label] = [
        pick(rng, words),
        sentence(rng),
        sentence(rng),
        truth(rng),
      ];
      const text = `${sentence1} ${sentence2} Does ${word} have the same meaning in both sentences?`;
      return line({ word, sentence1, sentence2, idx, label, start1: 0 }, { text, label: String(label) });
    },
  },
  wsc: {
    kind: "text",
    options: { template: 1 },
    survives: "all",
    record(rng, idx) {
      const list = some(rng, 2);
      const index = rng.integer(list.length);
      const target = { span2_index: index, span1_index: 0, span1_text: "who", span2_text: "he" };
      const text = list.map((word, i) => (i === index ? `*${word}*` : word)).join(" ");
      return line({ text: list.join(" "), target, idx, label: false }, { text, pair: "who", label: "false" });
    },
  },
  multirc: {
    kind: "text",
    survives: "all",
    record(rng, idx) {
      const [text, question] = [sentence(rng), sentence(rng)];
      const answers = [0, 1, 1].map((label, a) => ({ text: `${sentence(rng)} ${a}`, idx: a, label }));
      const document = `paragraph ${idx}`;
      return line(
        { idx, passage: { text, questions: [{ question, answers, idx: 7 }] } },
        ...answers.map(({ text: candidate, label }) => ({
          text,
          pair: `${question} ${candidate}`,
          label: String(label === 1),
          group: `${document}, question 7`,
          document,
          candidate,
        })),
      );
    },
  },
  record: {
    kind: "text",
    survives: "all",
    record(rng, idx) {
      const before = sentence(rng);
      const original = `${before} Ann met Bob\n@highlight\nAnn left`;
      const at = codePoints(before) + 1;
      const entities = [
        { start: at, end: at + 2 },
        { start: at + 8, end: at + 10 },
      ];
      const qas = [{ query: "It was @placeholder.", answers: [{ ...entities[1], text: "Bob" }], idx: 3 }];
      const document = `passage ${idx}`;
      return line(
        { source: "x", passage: { text: original, entities }, qas, idx },
        ...["Ann", "Bob"].map((candidate) => ({
          text: `${before} Ann met Bob\n- Ann left`,
          pair: `It was ${candidate}.`,
          label: String(candidate === "Bob"),
          answers: ["Bob"],
          group: `${document}, query 3`,
          document,
          candidate,
        })),
      );
    },
  },
  doccano: {
    kind: "tokens",
    survives: "all",
    record(rng, id) {
      const { text, start, end, label, example } = spanned(rng, codePoints);
      return line({ id, text, label: [[start, end, label]] }, example);
    },
  },
  prodigy: {
    kind: "tokens",
    survives: "all",
    record(rng) {
      const { text, start, end, label, example } = spanned(rng, codePoints);
      return line(
        { text, _input_hash: 1, spans: [{ start, end, label, token_start: 0 }], answer: "accept" },
        example,
      );
    },
  },
  spans: {
    kind: "tokens",
    survives: "all",
    record(rng) {
      const { text, start, end, label, example } = spanned(rng, utf16);
      return line({ text, spans: [{ start, end, label }] }, example);
    },
  },
  "label-studio": {
    kind: "tokens",
    head: "[",
    foot: '{"data": {"text": ""}, "annotations": []}]',
    end: ",\n",
    survives: "before",
    record(rng, id) {
      const { text, start, end, label, part, example } = spanned(rng, utf16);
      const result = [
        { value: { start, end, text: part, labels: [label] }, from_name: "label", type: "labels" },
      ];
      return line(
        { id, data: { text }, annotations: [{ was_cancelled: true, result: [] }, { result }] },
        example,
      );
    },
  },
  "label-studio-min": {
    kind: "tokens",
    head: "[",
    foot: '{"text": "", "label": []}]',
    end: ",\n",
    survives: "before",
    record(rng, id) {
      const { text, start, end, label, part, example } = spanned(rng, codePoints);
      return line({ text, id, label: [{ start, end, text: part, labels: [label] }], annotator: 1 }, example);
    },
  },
  "label-studio-choices": {
    kind: "text",
    head: "[",
    foot: '{"data": {"text": ""}, "annotations": []}]',
    end: ",\n",
    survives: "before",
    record(rng, id) {
      const [text, label] = [sentence(rng), pick(rng, types)];
      const result = [{ value: { choices: [label] }, from_name: "type", to_name: "text", type: "choices" }];
      return line({ id, data: { text }, annotations: [{ result }] }, { text, label });
    },
  },
};

/** A whole file of undamaged records, or one text per parallel file. */
export function writeAll(
  format: WrittenFormat,
  records: readonly string[],
  end: () => string = () => "\n",
): string[] {
  const { head = "", foot = "", files } = format;
  if (files !== undefined) {
    return files.map((_, i) => records.map((record) => record.split("\n")[i] + end()).join(""));
  }
  const ends = format.end ?? "\n";
  return [head + records.map((record) => record + ends.replace(/\n/g, end)).join("") + foot];
}
