/**
 * Whole runs, process start to finish: `ptuning train` on a recipe against PEFT in a plain training loop, same splits,
 * epochs and settings; what comes of them stands beside.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadBackbone } from "ptuning/internal/backbones";
import { completeConfig, parseConfig, readData } from "ptuning/internal/config";
import { markdownTable } from "ptuning/internal/report";
import { root } from "../tools/prepare.mjs";
import { referencePython } from "../tools/reference/run.mjs";
import { barFigure } from "./figures.mjs";
import { hasBf16, inTurns, median, ratios } from "./processes.mjs";

const works = [
  { name: "TREC", recipe: "trec-minilm", kind: "text", score: "accuracy", epochs: 3 },
  { name: "SST-2", recipe: "sst2-minilm", kind: "text", score: "accuracy", epochs: 2 },
  { name: "CoNLL04", recipe: "conll04-minilm", kind: "tokens", score: "f1", epochs: 6 },
];
const contenders = ["PEFT fp32", ...(hasBf16 ? ["PEFT bf16"] : []), "ours"];

/** PEFT's faster precision. */
const peftAtBest = (facts) =>
  contenders
    .filter((contender) => contender !== "ours")
    .toSorted((a, b) => median(facts[a].seconds) - median(facts[b].seconds))[0];

/** After a round PEFT goes on at its best alone: the other precision would take most of the hours. */
function takingPart(round, facts, kept) {
  if (kept) return round === 0 ? [peftAtBest(kept), "ours"] : ["ours"];
  return round === 0 ? contenders : [peftAtBest(facts), "ours"];
}

/** The splits of a recipe as both sides get them. */
async function writeSplits(folder, recipe) {
  const path = join(root, "recipes", `${recipe}.yaml`);
  const config = await completeConfig(parseConfig({ text: readFileSync(path, "utf8"), where: path }));
  const data = await readData(config);
  for (const split of ["train", "dev", "test"]) {
    const lines = data[split].map(({ text, label, words, tags }) =>
      JSON.stringify(words ? { words, tags } : { text, label }),
    );
    writeFileSync(join(folder, `${split}.jsonl`), `${lines.join("\n")}\n`);
  }
}

function timed(command, args) {
  const started = performance.now();
  const env = { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error" };
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env,
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return { seconds: (performance.now() - started) / 1000, stdout };
}

/** @param before an earlier result, whose runs of PEFT count; one more of them says whether the machine is as it was */
export async function measure({ quick, before }) {
  const backbone = await loadBackbone("minilm");
  await backbone.close();
  const rows = [];
  for (const { name, recipe, kind, score, epochs: all } of quick ? works.slice(0, 1) : works) {
    const epochs = quick ? 1 : all;
    const folder = mkdtempSync(join(tmpdir(), "ptuning-runs-"));
    await writeSplits(folder, recipe);
    const facts = Object.fromEntries(contenders.map((contender) => [contender, { seconds: [], tests: [] }]));
    const title = `${name}, ${epochs} epochs`;
    const kept = before?.rows.find((row) => row.name === title).facts;
    await inTurns(contenders, quick ? 1 : 5, async (contender, round) => {
      if (!takingPart(round, facts, kept).includes(contender)) return;
      const seed = String(11 + round);
      const output = join(folder, "run");
      const [who, precision] = contender.split(" ");
      const common = ["--epochs", String(epochs), "--seed", seed, "--preset", "peft"];
      const ours = ["dist/cli/main.js", "train", `recipes/${recipe}.yaml`, ...common, "--output", output];
      const theirs = ["bench/runs.py", folder, backbone.folder, kind, String(epochs), seed, precision];
      const { seconds, stdout } =
        who === "ours" ? timed(process.execPath, ours) : timed(referencePython(), theirs);
      const test =
        who === "ours"
          ? JSON.parse(readFileSync(join(output, "result.json"), "utf8")).test[score]
          : JSON.parse(stdout.trim().split("\n").at(-1)).test;
      rmSync(output, { recursive: true, force: true });
      facts[contender].seconds.push(seconds);
      facts[contender].tests.push(test);
      process.stderr.write(`${name} round ${round + 1}: ${contender} ${seconds.toFixed(1)} s\n`);
    });
    rmSync(folder, { recursive: true });
    const again = kept && { peftAgain: facts[peftAtBest(kept)].seconds };
    rows.push({ name: title, facts: { ...facts, ...kept, ours: facts.ours }, ...again });
  }
  return { rows, ...(before && { peft: { date: before.date, commit: before.commit } }) };
}

export function table({ rows, peft }) {
  const names = Object.keys(rows[0].facts);
  const cells = rows.map(({ name, facts }) => [
    name,
    ...names.map((contender) => median(facts[contender].seconds).toFixed(1)),
    ratios(facts.ours.seconds, facts[peftAtBest(facts)].seconds),
    ...names.map((contender) => (100 * median(facts[contender].tests)).toFixed(1)),
    facts.ours.tests.length,
  ]);
  const columns = [
    "work",
    ...names.map((name) => `${name} s`),
    "ours ÷ PEFT at its best",
    ...names.map((name) => `${name} test`),
    "runs",
  ];
  return [
    "## Whole runs",
    "",
    "From the start of the process to its end, MiniLM; test accuracy (CoNLL04: F1 of entities), medians over seeds.",
    "",
    markdownTable(
      columns.map((title) => ({ title })),
      cells,
    ),
    ...(peft
      ? [
          "",
          `PEFT's runs are of ${peft.date}, commit ${peft.commit}; one more of each, beside ours, took ` +
            `${rows.map(({ peftAgain }) => peftAgain[0].toFixed(1)).join(", ")} s.`,
        ]
      : []),
  ].join("\n");
}

export function figure({ rows }) {
  const bars = rows.flatMap(({ name, facts }) =>
    Object.entries(facts).map(([contender, { seconds }]) => ({
      work: name,
      name: contender,
      value: median(seconds),
    })),
  );
  return barFigure("seconds per run", bars);
}
