/** Contenders in processes of their own, which speak JSON lines, and what is made of their figures. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { cpuFacts } from "ptuning/engine";
import { root } from "../tools/prepare.mjs";

/** Starts a script of this repository, or of another build; `hear` waits for its next line, `ask` writes one to it. */
export function startContender(name, command, script, args, folder = root) {
  const child = spawn(command, [join(folder, script), ...args.map(String)], {
    cwd: folder,
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, HF_HUB_OFFLINE: "1", OMP_NUM_THREADS: undefined },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const hear = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended early`);
    return JSON.parse(value);
  };
  return { child, hear, ask: (line) => child.stdin.write(`${line}\n`) };
}

/** Has contenders take turns; each round starts with another one, so that none always follows the same neighbour. */
export async function inTurns(names, rounds, take) {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) await take(names[(i + round) % names.length], round);
  }
}

/** Whether this CPU multiplies bf16 in hardware; PEFT takes part in it only where it has. */
export const hasBf16 = cpuFacts().extensions.some((name) => name.endsWith("_bf16"));

/** Median of the ratios of the same round, and their range. */
export function ratios(ours, theirs) {
  const all = ours.slice(0, theirs.length).map((seconds, i) => seconds / theirs[i]);
  return `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)})`;
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** A contender's side: says that it is ready, then times `once` as often as each "measure N" on standard input asks. */
export async function answerMeasures(once) {
  const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "end") break;
    const seconds = [];
    for (let i = 0; i < Number(line.split(" ")[1]); i++) {
      const started = performance.now();
      await once();
      seconds.push((performance.now() - started) / 1000);
    }
    say({ seconds });
  }
}
