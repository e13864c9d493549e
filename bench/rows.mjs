/** Large files: resident memory and time at the first step of `ptuning train`, 20,000 and 200,000 rows. */
import { spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Rng } from "ptuning/internal/core";
import { markdownTable } from "ptuning/internal/report";
import { root } from "../tools/prepare.mjs";

/** Messages of about twenty words, all different, four labels. */
async function writeRows(path, count) {
  const words = readFileSync(join(root, "examples/01-support-intents/train.csv"), "utf8").match(/[a-z]{3,}/g);
  const rng = new Rng(count);
  const file = createWriteStream(path);
  file.write("text,label\n");
  for (let i = 0; i < count; i++) {
    const text = Array.from({ length: 10 + rng.integer(20) }, () => words[rng.integer(words.length)]).join(
      " ",
    );
    if (!file.write(`${text} ${i},label ${i % 4}\n`)) await new Promise((done) => file.once("drain", done));
  }
  await new Promise((done) => file.end(done));
}

export async function measure() {
  const folder = mkdtempSync(join(tmpdir(), "ptuning-rows-"));
  const rows = [];
  for (const count of [20_000, 200_000]) {
    const data = join(folder, `${count}.csv`);
    await writeRows(data, count);
    const started = performance.now();
    const args = ["dist/cli/main.js", "train", data, "--json", "--output", join(folder, `run-${count}`)];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    const first = await new Promise((resolve, reject) => {
      let text = "";
      child.stdout.on("data", (part) => {
        text += part;
        if (!text.includes('"type":"step"')) return;
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
        const bytes = (key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)[1]) * 1024;
        resolve({
          seconds: (performance.now() - started) / 1000,
          rssBytes: bytes("VmRSS"),
          peakBytes: bytes("VmHWM"),
        });
        child.stdout.removeAllListeners("data");
        child.stdout.resume();
        child.kill("SIGTERM");
      });
      child.on("exit", () => reject(new Error("ended before the first step")));
    });
    await new Promise((done) => child.once("exit", done));
    rows.push({ count, ...first });
  }
  return { rows };
}

export function table({ rows }) {
  const columns = ["rows", "seconds to first step", "resident MB then", "peak MB"].map((title) => ({
    title,
  }));
  const cells = rows.map(({ count, seconds, rssBytes, peakBytes }) => [
    count,
    seconds.toFixed(1),
    Math.round(rssBytes / 1e6),
    Math.round(peakBytes / 1e6),
  ]);
  const ratio = rows[1].rssBytes / rows[0].rssBytes;
  return `## Large files\n\n${markdownTable(columns, cells)}\n\nResident memory of the larger by the smaller: ${ratio.toFixed(2)}.`;
}
