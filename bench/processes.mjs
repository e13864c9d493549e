/** Contenders in processes of their own, which speak JSON lines, and what is made of their figures. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "../tools/prepare.mjs";

/** Starts a script of this repository; `hear` waits for its next line, `ask` writes one to it. */
export function startContender(name, command, script, args) {
  const child = spawn(command, [join(root, script), ...args.map(String)], {
    cwd: root,
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

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
