/** Seconds and memory of one training step, ours against PyTorch, equal shapes. */
import { markdownTable } from "ptuning/internal/report";
import { referencePython } from "../tools/reference/run.mjs";
import { barFigure } from "./figures.mjs";
import { median, ratios, startContender } from "./processes.mjs";
import { checkpointFolder } from "./random-backbone.mjs";

/** So many times slower than the other precision, one of PyTorch's takes part in the first round only. */
const hopeless = 1.5;

function start(contender, folder, shape) {
  const [who, precision, memory = "fast"] = contender.split(" ");
  const args = [folder, ...shape, precision, ...(who === "ours" ? [memory] : [])];
  const [command, script] =
    who === "ours" ? [process.execPath, "bench/contender.mjs"] : [referencePython(), "bench/contender.py"];
  return startContender(contender, command, script, args);
}

/**
 * @param rival what the other side is called
 * @param compiles whether it also takes part with torch.compile
 * @param works with `alone`, contenders do not fit into memory beside each other: each is started for its turn
 */
export function stepBenchmark({ title, rival, compiles = true, works }) {
  const contenders = [
    ...["fp32", "bf16", ...(compiles ? ["compile"] : [])].map((precision) => `${rival} ${precision}`),
    ...["ours fp32", "ours int8", "ours fp32 lean", "ours int8 lean"],
  ];

  async function measure({ quick }) {
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
        // the rival's slower precision has lost after one round where it is far behind: most of the time would be its. The
        // compiled model is shown beside.
        const [single, half] = [`${rival} fp32`, `${rival} bf16`].map(
          (contender) => facts[contender].rounds[0],
        );
        const out = compiles ? [`${rival} compile`] : [];
        if (half > hopeless * single) out.push(`${rival} bf16`);
        else if (single > hopeless * half) out.push(`${rival} fp32`);
        taking = contenders.filter((contender) => !out.includes(contender));
        if (!alone) for (const contender of out) await end(contender);
      }
      if (!alone) for (const contender of taking) await end(contender);
      rows.push({ name, facts });
    }
    return { rows };
  }

  function table({ rows }) {
    const names = Object.keys(rows[0].facts);
    const ours = names.filter((name) => name.startsWith("ours"));
    const megabytes = (bytes) => Math.round(bytes / 1e6);
    const time = rows.map(({ name, facts }) => {
      const ratio = (a, b) => ratios(facts[a].rounds, facts[b].rounds);
      return [
        name,
        ...names.map((contender) => median(facts[contender].rounds).toFixed(3)),
        ratio("ours fp32", `${rival} fp32`),
        ratio("ours int8", `${rival} fp32`),
        ratio("ours int8", `${rival} bf16`),
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
        ...ours.map((contender) => (aboveIdle(contender) / aboveIdle(`${rival} fp32`)).toFixed(2)),
      ];
    });
    const columns = (...titles) => ["work", ...names, ...titles].map((title) => ({ title }));
    return [
      `## ${title}`,
      "",
      "Seconds per step (median over rounds); ratios are medians over rounds, with their range.",
      "",
      markdownTable(columns(`fp32 ÷ ${rival} fp32`, `int8 ÷ ${rival} fp32`, `int8 ÷ ${rival} bf16`), time),
      "",
      "Peak resident memory in MB: in all / above the idle process.",
      "",
      markdownTable(columns(...ours.map((name) => `${name} ÷ ${rival} fp32, above idle`)), memory),
    ].join("\n");
  }

  function figure({ rows }) {
    const bars = rows.flatMap(({ name: work, facts }) =>
      Object.entries(facts).map(([name, { rounds }]) => ({
        work,
        name,
        value: median(rounds) / median(facts[`${rival} fp32`].rounds),
      })),
    );
    return barFigure(`time of a step as a share of ${rival}'s in fp32`, bars);
  }

  return { measure, table, figure };
}
