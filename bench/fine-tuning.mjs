/** Seconds and memory of one full fine-tuning step, ours against plain PyTorch in fp32, equal shapes. */
import { markdownTable } from "ptuning/internal/report";
import { referencePython } from "../tools/reference/run.mjs";
import { median, startContender } from "./processes.mjs";
import { randomBackbone } from "./random-backbone.mjs";

const [batch, length] = [16, 64];
const contenders = {
  "PyTorch fp32": [referencePython(), "bench/fine-tuning.py"],
  "ours fp32": [process.execPath, "bench/fine-tuning-contender.mjs"],
};

const start = (name, folder) => startContender(name, ...contenders[name], [folder, batch, length]);

export async function measure({ quick }) {
  const folder = await randomBackbone("bert-base");
  const names = Object.keys(contenders);
  const running = {};
  const facts = {};
  for (const name of names) {
    running[name] = start(name, folder);
    const { idleBytes } = await running[name].hear();
    await running[name].hear();
    facts[name] = { idleBytes, rounds: [] };
  }
  for (let round = 0; round < (quick ? 2 : 7); round++) {
    for (const name of round % 2 ? names.toReversed() : names) {
      running[name].ask("measure 2");
      const { seconds } = await running[name].hear();
      facts[name].rounds.push(Math.min(...seconds));
    }
    process.stderr.write(`fine-tuning: round ${round + 1}\n`);
  }
  for (const name of names) {
    running[name].ask("end");
    facts[name].peakBytes = (await running[name].hear()).peakBytes;
    running[name].child.stdin.end();
  }
  return { facts };
}

export function table({ facts }) {
  const [theirs, ours] = Object.keys(contenders).map((name) => facts[name]);
  const ratios = ours.rounds.map((seconds, i) => seconds / theirs.rounds[i]);
  const rows = Object.entries(facts).map(([name, { rounds, peakBytes }]) => [
    name,
    median(rounds).toFixed(2),
    Math.round(peakBytes / 1e6),
  ]);
  const columns = ["contender", "seconds per step", "peak MB"].map((title) => ({ title }));
  const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
  return [
    "## A fine-tuning step",
    "",
    `BERT-base, B ${batch}, S ${length}: forward, backward, clipping and AdamW over all weights.`,
    "",
    markdownTable(columns, rows),
    "",
    `Ours by PyTorch's, round by round: ${median(ratios).toFixed(2)} (${range}).`,
  ].join("\n");
}
