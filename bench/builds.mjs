/**
 * This build beside that of an earlier commit, in turns: a training step, and predictions.
 * PTUNING_BASE names the commit; the benchmark's own programs are this commit's in both.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Rng } from "ptuning/internal/core";
import { markdownTable } from "ptuning/internal/report";
import { root } from "../tools/prepare.mjs";
import { common, equalTexts, fileTexts } from "./predict.mjs";
import { inTurns, median, ratios, startContender } from "./processes.mjs";
import { checkpointFolder } from "./random-backbone.mjs";

export const base = process.env.PTUNING_BASE ?? "3a76d35";
const rng = new Rng(1);
const sst2 = () =>
  fileTexts("sst2/stsa.binary.test", { text: 1, labelPattern: "^(?<label>\\d) (?<text>.*)$" });
const agNews = async () =>
  (await fileTexts("agnews/test.csv.gz", { text: ["Title", "Description"], label: "Class Index" })).slice(
    0,
    1000,
  );

/** Texts make it a prediction, a shape `[B, S, P]` a training step. */
const works = [
  ...["int8", "fp32"].flatMap((precision) => [
    { name: `step, MiniLM B 32 S 20 P 20, ${precision}`, shape: [32, 20, 20], precision, units: 10 },
    { name: `step, MiniLM B 32 S 64 P 20, ${precision}`, shape: [32, 64, 20], precision, units: 4 },
    { name: `prediction, SST-2 test, ${precision}`, texts: sst2, precision, units: 1 },
    { name: `prediction, AG News, 1,000 rows, ${precision}`, texts: agNews, precision, units: 1 },
    {
      name: `prediction, 1,024 texts of 32 tokens, ${precision}`,
      texts: () => equalTexts(1024, 32, () => common[rng.integer(common.length)]),
      precision,
      units: 1,
    },
    {
      name: `prediction, 200 texts of SST-2 one by one, ${precision}`,
      texts: async () => (await sst2()).slice(0, 200),
      precision,
      units: 1,
      single: true,
    },
  ]),
];

/** The earlier commit with its packages, built, and this commit's benchmark programs beside it. */
export function buildOf(commit) {
  const folder = join(root, ".cache/builds", commit);
  const run = (command, ...args) => {
    const { status, stderr } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
    if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  };
  if (!existsSync(join(folder, "dist/index.js"))) {
    rmSync(folder, { recursive: true, force: true });
    run("git", "worktree", "prune");
    run("git", "worktree", "add", "--detach", folder, commit);
    cpSync(join(root, "node_modules"), join(folder, "node_modules"), {
      recursive: true,
      verbatimSymlinks: true,
    });
    run(
      process.execPath,
      join(folder, "node_modules/typescript/bin/tsc"),
      "-p",
      join(folder, "tsconfig.build.json"),
    );
  }
  cpSync(join(root, "bench"), join(folder, "bench"), { recursive: true });
  // The programs import folders by today's names.
  const manifest = join(folder, "package.json");
  const own = JSON.parse(readFileSync(manifest, "utf8"));
  const exports = { ...own.exports, "./internal/*": "./dist/*/index.js" };
  writeFileSync(manifest, JSON.stringify({ ...own, exports }, null, 2));
  return folder;
}

export async function measure({ quick }) {
  const folders = { before: buildOf(base), now: root };
  const place = await checkpointFolder("minilm");
  const rows = [];
  for (const { name, texts, shape, precision, units, single } of works) {
    const temporary = mkdtempSync(join(tmpdir(), "ptuning-builds-"));
    const file = join(temporary, "texts.json");
    if (texts) writeFileSync(file, JSON.stringify((await texts()).slice(0, quick ? 128 : undefined)));
    const running = {};
    const facts = {};
    for (const [build, folder] of Object.entries(folders)) {
      const [script, args] = texts
        ? ["bench/predict-contender.mjs", [place, file, precision, ...(single ? ["single"] : [])]]
        : ["bench/contender.mjs", [place, ...shape, precision]];
      running[build] = startContender(build, process.execPath, script, args, folder);
      if (!texts) await running[build].hear();
      await running[build].hear();
      facts[build] = [];
    }
    await inTurns(Object.keys(folders), quick ? 2 : 10, async (build) => {
      running[build].ask(`measure ${units}`);
      facts[build].push(median((await running[build].hear()).seconds));
    });
    for (const { ask, child } of Object.values(running)) {
      ask("end");
      child.stdin.end();
    }
    rmSync(temporary, { recursive: true });
    rows.push({ name, facts });
    process.stderr.write(`builds: ${name}: ${ratios(facts.now, facts.before)}\n`);
  }
  return { base, rows };
}

export function table({ base: commit, rows }) {
  const columns = ["work", `${commit}, s`, "now, s", "now ÷ before"].map((title) => ({ title }));
  const cells = rows.map(({ name, facts: { before, now } }) => [
    name,
    median(before).toFixed(3),
    median(now).toFixed(3),
    ratios(now, before),
  ]);
  return [
    "## Two builds",
    "",
    "This build beside an earlier one, in turns, ten rounds: medians, and median and range of the ratios.",
    "",
    markdownTable(columns, cells),
  ].join("\n");
}
