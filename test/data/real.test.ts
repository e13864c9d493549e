/** The counts that ../shared/data/README.md states, through our readers. */
import {
  type DatasetOptions,
  type ExampleKind,
  type ExampleKinds,
  type ReadOptions,
  readDataset,
  readExamples,
} from "ptuning/data";
import { describe, expect, test } from "vitest";
import { has, repository } from "../support/requirements.ts";

const data = `${repository}../shared/data/`;

type File = readonly [path: string, kind: ExampleKind, count: number, options?: ReadOptions];

const tables: readonly File[] = [
  ["agnews/train.subset.csv.gz", "text", 6001, { text: ["Title", "Description"], label: "Class Index" }],
  ["agnews/test.csv.gz", "text", 7600, { text: ["Title", "Description"], label: "Class Index" }],
  ["glue-cola/in_domain_train.tsv", "text", 8551, { text: 4, label: 2 }],
  ["glue-cola/in_domain_dev.tsv", "text", 527, { text: 4, label: 2 }],
  ["glue-cola/out_of_domain_dev.tsv", "text", 516, { text: 4, label: 2 }],
  ["glue-stsb/sts-train.tsv", "text", 5749, { text: [6, 7], score: 5 }],
  ["glue-stsb/sts-dev.tsv", "text", 1500, { text: [6, 7], score: 5 }],
  ["glue-stsb/sts-test.tsv", "text", 1379, { text: [6, 7], score: 5 }],
  ...(["train", "trial", "test_annotated"] as const).map(
    (split): File => [
      `sick/SICK_${split}.txt`,
      "text",
      { train: 4500, trial: 500, test_annotated: 4927 }[split],
      {
        format: "tsv",
        text: ["sentence_A", "sentence_B"],
        label: "entailment_judgment",
        score: "relatedness_score",
      },
    ],
  ),
  ["sms-spam/SMSSpamCollection", "text", 5574, { text: "SMS", label: "Label" }],
  ...(["train", "dev", "test"] as const).map(
    (split): File => [
      `sst2/stsa.binary.${split}`,
      "text",
      { train: 6920, dev: 872, test: 1821 }[split],
      { format: "lines", labelPattern: "^(?<label>\\d) (?<text>.*)$" },
    ],
  ),
  ["trec/train.txt", "text", 5452, { labelPattern: "^(?<label>\\w+):\\S+ (?<text>.*)$" }],
  ["trec/test.txt", "text", 500, { labelPattern: "^(?<label>\\w+:\\w+) (?<text>.*)$" }],
];

const own: readonly File[] = [
  ["superglue-boolq/val.jsonl.gz", "text", 3270],
  ["superglue-boolq/test.jsonl.gz", "text", 3245],
  ["superglue-boolq/train.fewglue32.jsonl", "text", 32],
  ["snips/train", "tokens", 13084],
  ["snips/valid", "text", 700],
  ["mit-movie/train.gz", "tokens", 7034],
  ["mit-movie/valid", "tokens", 782],
  ["mit-movie/test", "tokens", 1953],
  ["conll04/conll04_train.json", "tokens", 922],
  ["conll04/conll04_dev.json", "tokens", 231],
  ["conll04/conll04_test.json", "tokens", 288],
  ["conll04/bio/train.txt", "tokens", 910, { tokenColumn: 2, tagColumn: 3 }],
  ["conll04/bio/dev.txt", "tokens", 243, { tokenColumn: 2, tagColumn: 3 }],
  ["conll04/bio/test.txt", "tokens", 288, { tokenColumn: 2, tagColumn: 3 }],
  ["wikineural-en/val.conllu.gz", "tokens", 11590],
  ["wikineural-en/test.conllu.gz", "tokens", 11597],
  ["wikiann-en/train.conllu.gz", "tokens", 20000],
  ["few-nerd-inter/test.txt.gz", "tokens", 14006],
  ["up-ewt/en_ewt-up-dev.conllu.gz", "tokens", 2002],
  ["up-ewt/en_ewt-up-dev.conllu.gz", "roles", 4977],
  ["ewt-propbank/dev.gold_conll.gz", "roles", 4961],
  ["squad1-train-prefix/train-v1.1.prefix.json.gz", "answers", 4370],
  ["squad2-dev-part/dev-v2.0.json.gz", "answers", 6078],
  ["policyqa/dev.json.gz", "answers", 3809],
  ["covidqa/200423_covidQA.json.gz", "answers", 1380],
];

function groupsOf(examples: readonly ExampleKinds["text"][]): Map<string, ExampleKinds["text"][]> {
  const groups = new Map<string, ExampleKinds["text"][]>();
  for (const example of examples)
    groups.set(example.group!, [...(groups.get(example.group!) ?? []), example]);
  return groups;
}

describe.skipIf(!has.data)("real files", () => {
  test.for([...tables, ...own])("%s as %s: %i", async ([path, kind, count, options = {}]) => {
    const { examples, warnings } = await readExamples(data + path, { kind, ...options });
    expect(examples.length).toBe(count);
    // No file but covidqa has anything to be warned of.
    expect(warnings).toEqual(
      path.startsWith("covidqa")
        ? [`${data}${path}: 234 answers did not stand at their offset and were located nearby.`]
        : [],
    );
  });

  type Folder = readonly [string, ExampleKind, readonly [number, number, number], number, ReadOptions?];
  test.for<Folder>([
    ["superglue-rte", "text", [2490, 277, 3000], 2],
    ["superglue-cb", "text", [250, 56, 250], 3],
    ["superglue-copa", "choices", [400, 100, 500], 0],
    ["superglue-wic", "text", [5428, 638, 1400], 2, { template: 1 }],
    ["superglue-wsc", "text", [554, 104, 146], 2, { template: 1 }],
    ["fewglue/CB", "text", [32, 32, 0], 3],
    ["clinc150/data_full.json.gz", "text", [15100, 3100, 5500], 151],
    ["snips", "text", [13084, 700, 700], 7],
    ["snips", "tokens", [13084, 700, 700], 72],
    ["conll04/bio", "tokens", [910, 243, 288], 9, { tokenColumn: 2, tagColumn: 3 }],
    ["wikiann-en", "tokens", [20000, 10000, 10000], 7],
  ])("folder or file of splits %s as %s", async ([path, kind, counts, labels, options = {}]) => {
    const read = await readDataset(data + path, { kind, ...options } as DatasetOptions & {
      kind: ExampleKind;
    });
    expect([read.train.length, read.dev.length, read.test.length]).toEqual(counts);
    expect(read.labels.length).toBe(labels);
  });

  const counted = async <K extends ExampleKind>(path: string, kind: K): Promise<readonly ExampleKinds[K][]> =>
    (await readExamples<K>(data + path, { kind })).examples;

  test("the train part of EWT PropBank: 40419 predicates, 59 labels", async () => {
    const examples = await counted("ewt-propbank/train.gold_conll.gz", "roles");
    expect(examples.length).toBe(40419);
    const starts = examples.flatMap(({ tags }) => tags!).filter((tag) => tag.startsWith("B-"));
    const count = (label: string): number => starts.filter((tag) => tag === `B-${label}`).length;
    expect([count("ARG1"), count("ARG0"), count("ARG2"), count("ARGM-TMP")]).toEqual([
      26886, 15244, 9741, 5315,
    ]);
    expect(new Set(starts.map((tag) => tag.slice(2))).size).toBe(59);
    expect(examples.every(({ tags, predicate }) => tags![predicate]!.endsWith("-V"))).toBe(true);
  });

  test("entities of the token sets", async () => {
    const starts = (examples: readonly ExampleKinds["tokens"][], begin = /^B-/): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const tag of examples.flatMap(({ tags }) => tags!).filter((one) => begin.test(one))) {
        counts[tag.slice(2)] = (counts[tag.slice(2)] ?? 0) + 1;
      }
      return counts;
    };
    expect(starts(await counted("wikineural-en/val.conllu.gz", "tokens"))).toEqual({
      LOC: 5904,
      PER: 5593,
      MISC: 4173,
      ORG: 3512,
    });
    expect(starts(await counted("conll04/conll04_train.json", "tokens"), /^[BU]-/)).toEqual({
      Loc: 1219,
      Peop: 1087,
      Org: 616,
      Other: 455,
    });
    expect(starts(await counted("mit-movie/train.gz", "tokens"))).toMatchObject({ Plot: 5802, Actor: 4536 });
  });

  test("answers stand where they say", async () => {
    for (const [path, answers, impossible, groups] of [
      ["squad1-train-prefix/train-v1.1.prefix.json.gz", 4370, 0, 12],
      ["squad2-dev-part/dev-v2.0.json.gz", 10052, 3168, 16],
      ["policyqa/dev.json.gz", 6044, 0, 20],
      ["covidqa/200423_covidQA.json.gz", 1380, 0, 98],
    ] as const) {
      const examples = await counted(path, "answers");
      expect(examples.flatMap((example) => example.answers!).length).toBe(answers);
      expect(examples.filter((example) => example.answers!.length === 0).length).toBe(impossible);
      expect(new Set(examples.map(({ group }) => group)).size).toBe(groups);
      for (const { context, answers: gold } of examples) {
        for (const { text, start } of gold!) expect(context.startsWith(text, start)).toBe(true);
      }
    }
  });

  test("ReCoRD: queries, their entities and answers", async () => {
    for (const path of ["train.fewglue32.jsonl", "train.dev32.jsonl"]) {
      const examples = await counted(`superglue-record/${path}`, "text");
      const groups = groupsOf(examples);
      expect(groups.size).toBe(32);
      for (const candidates of groups.values()) {
        expect(new Set(candidates.map(({ candidate }) => candidate)).size).toBe(candidates.length);
        for (const { candidate, answers, label, pair, text } of candidates) {
          expect(label).toBe(String(answers!.includes(candidate!)));
          expect(pair).toContain(candidate);
          expect(text).not.toContain("@highlight");
        }
        expect(candidates.some(({ label }) => label === "true")).toBe(true);
      }
    }
  });

  test("a dev set split off questions shares no article with train", async () => {
    const { train, dev } = await readDataset(`${data}squad2-dev-part/dev-v2.0.json.gz`, { kind: "answers" });
    expect(train.length + dev.length).toBe(6078);
    const groups = new Set(train.map(({ group }) => group));
    expect(dev.every(({ group }) => !groups.has(group))).toBe(true);
  });
});
