#!/usr/bin/env node
/**
 * The benchmark suite: npm run bench [-- step|architectures|runs|predict|pool|curves|fine-tuning|cold|rows|trunk|csv|builds] [--quick] [--ours]
 * With `--ours` `runs` keeps what results/ has of PEFT's, and times one more run of it beside ours.
 * With `tables` nothing is measured: RESULTS.md and the figures are made anew from bench/results/.
 * Contenders run in processes of their own and take turns; ratios are of the same round. Results go to
 * bench/results/ and bench/RESULTS.md.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { commit, onnxruntimeVersion } from "../tools/origin.mjs";
import { prepare, root } from "../tools/prepare.mjs";

const all = [
  "step",
  "architectures",
  "runs",
  "predict",
  "pool",
  "curves",
  "fine-tuning",
  "cold",
  "rows",
  "trunk",
  "csv",
  "builds",
];
const args = process.argv.slice(2);
const [quick, ours] = ["--quick", "--ours"].map((flag) => args.includes(flag));
const wanted = args.filter((arg) => !arg.startsWith("--"));
const unknown = wanted.find((name) => ![...all, "tables"].includes(name));
if (unknown) {
  console.error(`bench: expected ${all.join(", ")} or tables, got "${unknown}".`);
  process.exit(2);
}
prepare();

const cpuInfo = readFileSync("/proc/cpuinfo", "utf8");
const flags = /^flags\s*:(.*)$/m.exec(cpuInfo)?.[1]?.split(" ") ?? [];
const interesting = ["avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"];
/** What every result is of no use without. */
export const context = {
  date: new Date().toISOString().slice(0, 10),
  commit: commit(),
  cpu: cpus()[0].model,
  flags: interesting.filter((flag) => flags.includes(flag)),
  cores: cpus().length,
  memoryBytes: totalmem(),
  node: process.versions.node,
  onnxruntime: onnxruntimeVersion(),
  reference: readFileSync(join(root, "tools/reference/requirements.txt"), "utf8")
    .trim()
    .split("\n")
    .slice(0, 3),
};

const folder = join(root, "bench/results");
const figures = join(root, "bench/figures");
for (const made of [folder, figures]) mkdirSync(made, { recursive: true });
for (const name of wanted.length > 0 ? wanted.filter((part) => part !== "tables") : all) {
  const { measure } = await import(`./${name}.mjs`);
  console.log(`\n== ${name}`);
  const path = join(folder, `${name}.json`);
  const before = ours ? JSON.parse(readFileSync(path, "utf8")) : undefined;
  const result = { ...context, ...(await measure({ quick, before })) };
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
}
const sections = [];
for (const file of readdirSync(folder).sort()) {
  // part.json, and part@machine.json for what another machine measured
  const [title, [name]] = [file.replace(".json", ""), file.split(/[@.]/)];
  const { table, figure } = await import(`./${name}.mjs`);
  const result = JSON.parse(readFileSync(join(folder, file), "utf8"));
  const { date, commit, cpu, flags: found, cores, node, onnxruntime, reference } = result;
  if (figure) writeFileSync(join(figures, `${title}.svg`), figure(result));
  sections.push(
    table(result),
    ...(figure ? [`![](figures/${title}.svg)`] : []),
    `${date}, commit ${commit}; ${cpu} (${found.join(", ")}), ${cores} cores; Node ${node}, ONNX Runtime ${onnxruntime}; ${reference.join(", ")}.`,
  );
}
const text = `# Benchmark results\n\nMade by \`npm run bench\`; see README.md for how they are taken.\n\n${sections.join("\n\n")}\n`;
writeFileSync(join(root, "bench/RESULTS.md"), text);
console.log(`\n${text}`);
