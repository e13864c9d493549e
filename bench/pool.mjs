/** Many adapters on one backbone: texts per second where each request is for another adapter, and what an adapter costs. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { markdownTable } from "ptuning/internal/report";
import { fileTexts } from "./predict.mjs";
import { inTurns, median, ratios, startContender } from "./processes.mjs";
import { checkpointFolder } from "./random-backbone.mjs";

const sst2 = { text: 1, labelPattern: "^(?<label>\\d) (?<text>.*)$" };

export async function measure({ quick }) {
  const folder = mkdtempSync(join(tmpdir(), "ptuning-pool-"));
  const texts = (await fileTexts("sst2/stsa.binary.test", sst2)).slice(0, quick ? 256 : 1000);
  writeFileSync(join(folder, "texts.json"), JSON.stringify(texts));
  const at = await checkpointFolder("minilm");
  const rows = [];
  for (const precision of ["fp32", "int8"]) {
    for (const adapters of quick ? [4, 64] : [4, 100, 1000]) {
      const given = [at, join(folder, "texts.json"), precision, adapters];
      const running = startContender("pool", process.execPath, "bench/pool-contender.mjs", given);
      const { adapterBytes, residentBytes, milliseconds } = await running.hear();
      const seconds = { pool: [], alone: [] };
      await inTurns(["alone", "pool"], quick ? 3 : 7, async (side) => {
        running.ask(side);
        seconds[side].push((await running.hear()).seconds);
      });
      running.ask("end");
      running.child.stdin.end();
      const addMilliseconds = milliseconds.length > 0 ? median(milliseconds) : null;
      rows.push({
        precision,
        adapters,
        texts: texts.length,
        adapterBytes,
        residentBytes,
        addMilliseconds,
        seconds,
      });
      process.stderr.write(`pool: ${adapters} adapters, ${precision}\n`);
    }
  }
  rmSync(folder, { recursive: true });
  return { rows };
}

export function table({ rows }) {
  const titles = [
    ...["precision", "adapters", "one per task", "pool", "×"],
    ...["KB of an adapter", "KB resident for one more", "ms to add one"],
  ];
  const cells = rows.map(
    ({ precision, adapters, texts, adapterBytes, residentBytes, addMilliseconds, seconds }) => [
      precision,
      adapters,
      Math.round(texts / median(seconds.alone)),
      Math.round(texts / median(seconds.pool)),
      ratios(seconds.alone, seconds.pool),
      Math.round(adapterBytes / 1024),
      addMilliseconds === null ? "" : Math.round(residentBytes / 1024),
      addMilliseconds === null ? "" : addMilliseconds.toFixed(1),
    ],
  );
  return [
    "## Many adapters on one backbone",
    "",
    "MiniLM, 20 prompt positions, four kinds of tasks, SST-2 test: texts per second where each is for the next of so many adapters " +
      "in a pool, against one adapter for each task on predictors of their own; × of the same round, median and range.",
    "",
    markdownTable(
      titles.map((title) => ({ title })),
      cells,
    ),
  ].join("\n");
}
