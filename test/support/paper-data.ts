/** The data sets of the paper's tables in small: files under the names and in the form in which they are published. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const count = 12;
const each = <T>(make: (i: number) => T, number = count): T[] =>
  Array.from({ length: number }, (_, i) => make(i));
const words = (i: number, number = 5): string => each((j) => `w${(i * 7 + j * 3) % 30}`, number).join(" ");

/** Lines of the official SuperGLUE files, by task. */
const superglue: Readonly<Record<string, (i: number) => object>> = {
  BoolQ: (i) => ({
    question: words(i),
    passage: `${words(i)} (${words(i + 1)}).`,
    idx: i,
    label: i % 2 === 0,
  }),
  CB: (i) => ({
    ...{ premise: words(i), hypothesis: words(i + 1), idx: i },
    label: ["contradiction", "entailment", "neutral"][i % 3],
  }),
  COPA: (i) => ({
    ...{ premise: words(i), choice1: words(i + 1), choice2: words(i + 2) },
    ...{ question: ["cause", "effect"][i % 2], label: i % 2, idx: i },
  }),
  MultiRC: (i) => ({
    idx: i,
    version: 1.1,
    passage: {
      text: words(i, 9),
      questions: each(
        (q) => ({
          question: words(q),
          answers: each((a) => ({ text: words(a, 2), idx: 4 * i + 2 * q + a, label: (i + q + a) % 2 }), 2),
          idx: 2 * i + q,
        }),
        2,
      ),
    },
  }),
  ReCoRD: (i) => ({
    source: "Daily mail",
    passage: {
      text: "Ann met Bob .\n@highlight\nBob left",
      entities: [
        { start: 0, end: 2 },
        { start: 8, end: 10 },
      ],
    },
    qas: [
      {
        query: `@placeholder ${words(i)}`,
        answers: [{ start: 8, end: 10, text: "Bob" }],
        idx: { passage: i, query: i },
      },
    ],
    idx: { passage: i },
  }),
  RTE: (i) => ({
    ...{ premise: words(i), hypothesis: words(i + 1), idx: i },
    label: ["entailment", "not_entailment"][i % 2],
  }),
  WiC: (i) => ({
    ...{
      word: "w3",
      sentence1: `w3 ${words(i)}`,
      sentence2: `${words(i + 1)} w3`,
      idx: i,
      label: i % 2 === 0,
    },
    ...{ start1: 0, end1: 2, start2: 15, end2: 17, version: 1.1 },
  }),
  WSC: (i) => ({
    text: `Mark told Pete ${words(i)} about himself .`,
    target: { span1_text: "Mark", span1_index: 0, span2_text: "himself", span2_index: 9 },
    ...{ idx: i, label: i % 2 === 0 },
  }),
};

const entities = (): string =>
  `-DOCSTART- -X- -X- O\n\n${each((i) =>
    [
      "Ann NNP B-NP B-PER",
      "lives VBZ B-VP O",
      "in IN B-PP O",
      `w${i} NNP B-NP B-LOC`,
      "City NNP I-NP I-LOC",
    ].join("\n"),
  ).join("\n\n")}\n`;

const roles = (): string => `${each((i) => `1 Ann saw w${i} there ||| B-A0 B-V B-A1 B-AM-LOC`).join("\n")}\n`;

const squad = (hasUnanswerable: boolean): string => {
  const paragraph = (i: number): object => {
    const context = `${words(i)} Ann lives in Rome . ${words(i + 1)}`;
    const start = context.indexOf("Rome");
    const isImpossible = hasUnanswerable && i % 3 === 0;
    const answers = isImpossible ? [] : [{ text: "Rome", answer_start: start }];
    const question = { id: `q${i}`, question: "where does Ann live ?", answers };
    return { context, qas: [hasUnanswerable ? { ...question, is_impossible: isImpossible } : question] };
  };
  const data = each((i) => ({ title: `article ${i}`, paragraphs: [paragraph(i)] }));
  return JSON.stringify({ version: hasUnanswerable ? "v2.0" : "1.1", data });
};

/** Writes all of them under `data/` of a folder. */
export function writePaperData(folder: string): void {
  const write = (name: string, text: string): void => {
    const path = join(folder, "data", name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  for (const [task, line] of Object.entries(superglue)) {
    const lines = `${each((i) => JSON.stringify(line(i))).join("\n")}\n`;
    for (const part of ["train", "val"]) write(`SuperGLUE/${task}/${part}.jsonl`, lines);
  }
  const sentences = `sentence\tlabel\n${each((i) => `${words(i)} \t${i % 2}`).join("\n")}\n`;
  for (const part of ["train", "dev"]) write(`SST-2/${part}.tsv`, sentences);
  for (const [set, parts] of [
    ["CoNLL03", ["train", "valid", "test"]],
    ["OntoNotes", ["train", "development", "test"]],
    ["CoNLL04", ["train", "dev", "test"]],
  ] as const) {
    for (const part of parts) write(`${set}/${part}.txt`, entities());
  }
  for (const part of ["train", "devel", "test"]) write(`CoNLL12/${part}.txt`, roles());
  for (const part of ["train", "devel", "test.wsj", "test.brown"]) write(`CoNLL05/${part}.txt`, roles());
  for (const part of ["train", "dev"]) {
    write(`SQuAD/${part}-v1.1.json`, squad(false));
    write(`SQuAD/${part}-v2.0.json`, squad(true));
  }
}
