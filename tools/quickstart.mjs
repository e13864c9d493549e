#!/usr/bin/env node
/**
 * From a bare clone to a trained adapter: installs, builds, fetches the default backbone, tunes deep prompts on the
 * bundled example, and tries the result.
 */
import { spawnSync } from "node:child_process";
import { prepare, root } from "./prepare.mjs";

prepare();
const cli = (...args) => {
  console.log(`\n$ ptuning ${args.map((arg) => (/\s/.test(arg) ? JSON.stringify(arg) : arg)).join(" ")}`);
  const { status } = spawnSync(process.execPath, ["dist/cli/main.js", ...args], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
};
cli("train", "recipes/quickstart.yaml", "--baselines", "--overwrite", "--output", "runs/quickstart");
cli(
  "predict",
  "runs/quickstart",
  "Eleven days now and still nothing on the porch.",
  "It says my card was declined, but the money is gone.",
);
console.log(`
What to try next:
  npx ptuning init your.csv            look at your own labelled texts and write a configuration
  npx ptuning train your.csv           or train at once: columns are guessed
  npx ptuning predict runs/quickstart  label texts from standard input
  npx ptuning inspect runs/quickstart  what the adapter holds
  npx ptuning --help                   everything else`);
