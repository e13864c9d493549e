/** Batch prediction, sentences per second, tokenization included: ours with an adapter against the bare transformers model. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTable } from "ptuning/data";
import { Rng } from "ptuning/internal/core";
import { markdownTable } from "ptuning/internal/report";
import { root } from "../tools/prepare.mjs";
import { referencePython } from "../tools/reference/run.mjs";
import { inTurns, median, ratios, startContender } from "./processes.mjs";
import { checkpointFolder } from "./random-backbone.mjs";

const shared = join(root, "../shared/data");
export const fileTexts = async (path, options) => {
  const { train } = await readTable(join(shared, path), { ...options, devShare: 0 });
  return train.map(({ text, pair }) => (pair ? `${text} ${pair}` : text));
};
/** Texts of exactly so many tokens, special ones included, of words that are one token each. */
export const equalTexts = (count, tokens, word) =>
  Array.from({ length: count }, () => Array.from({ length: tokens - 2 }, word).join(" "));
export const common = ["the", "movie", "is", "good", "and", "long", "but", "not", "for", "all"];
const rng = new Rng(1);

const works = [
  {
    name: "MiniLM, SST-2 test",
    backbone: "minilm",
    texts: () => fileTexts("sst2/stsa.binary.test", { text: 1, labelPattern: "^(?<label>\\d) (?<text>.*)$" }),
  },
  {
    name: "MiniLM, AG News test, 1,000 rows",
    backbone: "minilm",
    texts: async () =>
      (await fileTexts("agnews/test.csv.gz", { text: ["Title", "Description"], label: "Class Index" })).slice(
        0,
        1000,
      ),
  },
  {
    name: "MiniLM, equal shapes, 32 tokens",
    backbone: "minilm",
    texts: () => equalTexts(1024, 32, () => common[rng.integer(common.length)]),
  },
  {
    name: "BERT-base, equal shapes, 64 tokens",
    backbone: "bert-base",
    texts: () => equalTexts(128, 64, () => `w${1000 + rng.integer(20_000)}`),
  },
];
const contenders = {
  "transformers fp32": () => [referencePython(), "bench/predict.py"],
  "ours fp32": () => [process.execPath, "bench/predict-contender.mjs", "fp32"],
  "ours int8": () => [process.execPath, "bench/predict-contender.mjs", "int8"],
};

export async function measure({ quick }) {
  const names = Object.keys(contenders);
  const rows = [];
  for (const { name, backbone: place, texts: read } of works) {
    const folder = mkdtempSync(join(tmpdir(), "ptuning-predict-"));
    const texts = (await read()).slice(0, quick ? 256 : undefined);
    writeFileSync(join(folder, "texts.json"), JSON.stringify(texts));
    const at = await checkpointFolder(place);
    const running = {};
    const facts = {};
    for (const contender of names) {
      const [command, script, ...rest] = contenders[contender]();
      running[contender] = startContender(contender, command, script, [
        at,
        join(folder, "texts.json"),
        ...rest,
      ]);
      await running[contender].hear();
      facts[contender] = [];
    }
    await inTurns(names, quick ? 1 : 7, async (contender) => {
      running[contender].ask("measure 1");
      facts[contender].push((await running[contender].hear()).seconds[0]);
    });
    for (const contender of names) {
      running[contender].ask("end");
      running[contender].child.stdin.end();
    }
    rmSync(folder, { recursive: true });
    rows.push({ name, sentences: texts.length, facts });
    process.stderr.write(`predict: ${name}\n`);
  }
  return { rows };
}

export function table({ rows }) {
  const names = Object.keys(contenders);
  const columns = ["work", ...names, "fp32 ×", "int8 ×"].map((title) => ({ title }));
  const cells = rows.map(({ name, sentences, facts }) => [
    name,
    ...names.map((contender) => Math.round(sentences / median(facts[contender]))),
    ratios(facts["transformers fp32"], facts["ours fp32"]),
    ratios(facts["transformers fp32"], facts["ours int8"]),
  ]);
  return [
    "## Batch prediction",
    "",
    "Sentences per second; × is how many times as many as transformers, median and range over rounds.",
    "",
    markdownTable(columns, cells),
  ].join("\n");
}
