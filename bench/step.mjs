/** Seconds and memory of one training step, ours against PEFT, equal shapes. */
import { markdownTable } from "ptuning/report";
import { referencePython } from "../tools/reference/run.mjs";
import { barFigure } from "./figures.mjs";
import { median, ratios, startContender } from "./processes.mjs";
import { checkpointFolder } from "./random-backbone.mjs";

/** With `alone`, contenders do not fit into memory beside each other: each is started for its turn. */
const works = [
  { name: "MiniLM B 32 S 20 P 20", backbone: "minilm", shape: [32, 20, 20], steps: 10, rounds: 7 },
  { name: "BERT-base B 32 S 64 P 20", backbone: "bert-base", shape: [32, 64, 20], steps: 2, rounds: 5 },
  {
    name: "BERT-large B 16 S 128 P 20",
    backbone: "bert-large",
    shape: [16, 128, 20],
    steps: 1,
    rounds: 3,
    alone: true,
  },
];
const contenders = [
  "PEFT fp32",
  "PEFT bf16",
  "PEFT compile",
  "ours fp32",
  "ours int8",
  "ours fp32 lean",
  "ours int8 lean",
];

/** So many times slower than the other precision, one of PEFT's takes part in the first round only. */
const hopeless = 1.5;

function start(contender, folder, shape) {
  const [who, precision, memory = "fast"] = contender.split(" ");
  const args = [folder, ...shape, precision, ...(who === "ours" ? [memory] : [])];
  const [command, script] =
    who === "PEFT" ? [referencePython(), "bench/contender.py"] : [process.execPath, "bench/contender.mjs"];
  return startContender(contender, command, script, args);
}

export async function measure({ quick }) {
  const rows = [];
  for (const { name, backbone, shape, steps, rounds, alone } of works) {
    const folder = await checkpointFolder(backbone);
    const running = {};
    const facts = Object.fromEntries(
      contenders.map((contender) => [contender, { peakBytes: 0, rounds: [] }]),
    );
    const open = async (contender) => {
      running[contender] = start(contender, folder, shape);
      facts[contender].idleBytes = (await running[contender].hear()).idleBytes;
      await running[contender].hear();
    };
    const end = async (contender) => {
      running[contender].ask("end");
      const { peakBytes } = await running[contender].hear();
      facts[contender].peakBytes = Math.max(facts[contender].peakBytes, peakBytes);
      running[contender].child.stdin.end();
    };
    if (!alone) for (const contender of contenders) await open(contender);
    let taking = contenders;
    for (let round = 0; round < (quick ? 2 : rounds); round++) {
      // Each round starts with another contender, so that none always follows the same neighbour.
      for (let i = 0; i < taking.length; i++) {
        const contender = taking[(i + round) % taking.length];
        if (alone) await open(contender);
        running[contender].ask(`measure ${steps}`);
        const { seconds } = await running[contender].hear();
        facts[contender].rounds.push(median(seconds));
        if (alone) await end(contender);
      }
      process.stderr.write(`${name}: round ${round + 1}\n`);
      if (round > 0) continue;
      // PEFT's slower precision has lost after one round where it is far behind: most of the time would be its. The
      // compiled model is shown beside.
      const [single, half] = ["PEFT fp32", "PEFT bf16"].map((contender) => facts[contender].rounds[0]);
      const out = ["PEFT compile"];
      if (half > hopeless * single) out.push("PEFT bf16");
      else if (single > hopeless * half) out.push("PEFT fp32");
      taking = contenders.filter((contender) => !out.includes(contender));
      if (!alone) for (const contender of out) await end(contender);
    }
    if (!alone) for (const contender of taking) await end(contender);
    rows.push({ name, facts });
  }
  return { rows };
}

export function table({ rows }) {
  const names = Object.keys(rows[0].facts);
  const ours = names.filter((name) => name.startsWith("ours"));
  const megabytes = (bytes) => Math.round(bytes / 1e6);
  const time = rows.map(({ name, facts }) => {
    const ratio = (a, b) => ratios(facts[a].rounds, facts[b].rounds);
    return [
      name,
      ...names.map((contender) => median(facts[contender].rounds).toFixed(3)),
      ratio("ours fp32", "PEFT fp32"),
      ratio("ours int8", "PEFT fp32"),
      ratio("ours int8", "PEFT bf16"),
    ];
  });
  const memory = rows.map(({ name, facts }) => {
    const aboveIdle = (contender) => facts[contender].peakBytes - facts[contender].idleBytes;
    return [
      name,
      ...names.map((contender) => {
        const { peakBytes, idleBytes } = facts[contender];
        return `${megabytes(peakBytes)} / ${megabytes(peakBytes - idleBytes)}`;
      }),
      ...ours.map((contender) => (aboveIdle(contender) / aboveIdle("PEFT fp32")).toFixed(2)),
    ];
  });
  const columns = (...titles) => ["work", ...names, ...titles].map((title) => ({ title }));
  return [
    "## A training step",
    "",
    "Seconds per step (median over rounds); ratios are medians over rounds, with their range.",
    "",
    markdownTable(columns("fp32 ÷ PEFT fp32", "int8 ÷ PEFT fp32", "int8 ÷ PEFT bf16"), time),
    "",
    "Peak resident memory in MB: in all / above the idle process.",
    "",
    markdownTable(columns(...ours.map((name) => `${name} ÷ PEFT fp32, above idle`)), memory),
  ].join("\n");
}

export function figure({ rows }) {
  const bars = rows.flatMap(({ name: work, facts }) =>
    Object.entries(facts).map(([name, { rounds }]) => ({
      work,
      name,
      value: median(rounds) / median(facts["PEFT fp32"].rounds),
    })),
  );
  return barFigure("time of a step as a share of PEFT's in fp32", bars);
}
