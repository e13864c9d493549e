#!/usr/bin/env node
/**
 * Proofs that are too slow for every test run: npm run prove -- NAME [--small]
 * Each module of this folder exports `prove({ size })`, `size` being "full" or "small". It throws where a bar is
 * missed and returns its figures, which go to results/proofs/NAME.json with versions and hardware. The test suite runs
 * the small form of each.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commitOfSources, onnxruntimeVersion } from "../origin.mjs";
import { prepare, root } from "../prepare.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const known = readdirSync(here)
  .filter((file) => file.endsWith(".mjs") && file !== "run.mjs")
  .map((file) => file.slice(0, -".mjs".length));
const names = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const unknown = names.find((name) => !known.includes(name));
if (names.length === 0 || unknown !== undefined) {
  console.error(`prove: expected some of ${known.join(", ")}, got ${unknown ?? "none"}.`);
  process.exit(2);
}
const size = process.argv.includes("--small") ? "small" : "full";
prepare();
const { describeMachine } = await import("../../dist/engine/index.js");
for (const name of names) {
  const { prove } = await import(`./${name}.mjs`);
  const started = performance.now();
  const figures = await prove({ size });
  const record = {
    proof: name,
    size,
    date: new Date().toISOString().slice(0, 10),
    commit: commitOfSources(),
    versions: { node: process.versions.node, onnxruntime: onnxruntimeVersion() },
    hardware: describeMachine(),
    seconds: Math.round((performance.now() - started) / 1000),
    ...figures,
  };
  console.log(JSON.stringify(record, null, 2));
  if (size === "small") continue;
  mkdirSync(join(root, "results/proofs"), { recursive: true });
  writeFileSync(join(root, "results/proofs", `${name}.json`), `${JSON.stringify(record, null, 2)}\n`);
}
