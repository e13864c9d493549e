/** Step time of MiniLM as the prompt, the texts and the batch grow; ours against PEFT, one size after the other. */
import { loadBackbone } from "ptuning/internal/backbones";
import { markdownTable } from "ptuning/internal/report";
import { referencePython } from "../tools/reference/run.mjs";
import { curveFigure } from "./figures.mjs";
import { inTurns, median, startContender } from "./processes.mjs";

const usual = { B: 32, S: 32, P: 20 };
/** The longest text is what 512 positions leave beside the prompt. */
const sweeps = {
  P: [8, 16, 32, 64, 128],
  S: [32, 64, 128, 256, 492],
  B: [1, 2, 4, 8, 16, 32, 64],
};
const panels = { P: "prompt length P", S: "tokens S", B: "batch size B" };
const contenders = ["PEFT fp32", "ours fp32", "ours int8"];
/** Long texts in smaller batches: else the largest point takes minutes. */
const batchOf = (axis) => (axis === "S" ? 8 : usual.B);

export async function measure({ quick }) {
  const { folder, close } = await loadBackbone("minilm");
  await close();
  const points = [];
  for (const [axis, sizes] of Object.entries(sweeps)) {
    for (const size of quick ? [sizes[0], sizes.at(-1)] : sizes) {
      const { B, S, P } = { ...usual, B: batchOf(axis), [axis]: size };
      const running = {};
      const seconds = Object.fromEntries(contenders.map((name) => [name, []]));
      for (const name of contenders) {
        const [who, precision] = name.split(" ");
        const [command, script] =
          who === "PEFT"
            ? [referencePython(), "bench/contender.py"]
            : [process.execPath, "bench/contender.mjs"];
        running[name] = startContender(name, command, script, [folder, B, S, P, precision]);
        await running[name].hear();
        await running[name].hear();
      }
      await inTurns(contenders, quick ? 1 : 5, async (name) => {
        running[name].ask(`measure ${quick ? 1 : 3}`);
        seconds[name].push(median((await running[name].hear()).seconds));
      });
      for (const name of contenders) {
        running[name].ask("end");
        running[name].child.stdin.end();
      }
      points.push({ axis, B, S, P, seconds });
      process.stderr.write(`curves: B ${B} S ${S} P ${P}\n`);
    }
  }
  return { points };
}

export function table({ points }) {
  const ms = (seconds) => (1000 * median(seconds)).toFixed(0);
  const columns = ["B", "S", "P", ...contenders.map((name) => `${name} ms`), "int8, µs per token"];
  const cells = points.map(({ B, S, P, seconds }) => [
    B,
    S,
    P,
    ...contenders.map((name) => ms(seconds[name])),
    Math.round((1e6 * median(seconds["ours int8"])) / (B * S)),
  ]);
  return [
    "## Step time as sizes grow",
    "",
    "MiniLM. With one text per batch a token costs what the last column says at B 1.",
    "",
    markdownTable(
      columns.map((title) => ({ title })),
      cells,
    ),
  ].join("\n");
}

export function figure({ points }) {
  const rows = points.flatMap((point) =>
    contenders.map((name) => ({
      name,
      panel: panels[point.axis],
      size: point[point.axis],
      seconds: median(point.seconds[name]),
    })),
  );
  return curveFigure("seconds per step", rows);
}
