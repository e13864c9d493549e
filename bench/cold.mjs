/** From the start of the process to the answer: one sentence, this build, an earlier one and a plain transformers script. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadBackbone } from "ptuning/internal/backbones";
import { markdownTable } from "ptuning/internal/report";
import { root } from "../tools/prepare.mjs";
import { referencePython } from "../tools/reference/run.mjs";
import { base, buildOf } from "./builds.mjs";
import { inTurns, ratios } from "./processes.mjs";

const sentence = "Where is my parcel?";

export async function measure({ quick }) {
  const folder = mkdtempSync(join(tmpdir(), "ptuning-cold-"));
  const earlier = buildOf(base);
  // Made by the earlier build: this one reads what that wrote.
  const adapter = join(root, ".cache/bench", `cold-${base}`);
  if (!existsSync(join(adapter, "result.json"))) {
    mkdirSync(join(root, ".cache/bench"), { recursive: true });
    const train = [
      "train",
      "examples/01-support-intents/config.yaml",
      "--epochs",
      "1",
      "--overwrite",
      "--output",
      adapter,
    ];
    spawnSync(process.execPath, ["dist/cli/main.js", ...train], { cwd: earlier, stdio: "ignore" });
  }
  const backbone = await loadBackbone("minilm");
  await backbone.close();
  const script = join(folder, "plain.py");
  writeFileSync(
    script,
    `import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("${backbone.folder}")
model = AutoModelForSequenceClassification.from_pretrained("${backbone.folder}", num_labels=8)
with torch.no_grad():
    print(model(**tokenizer("${sentence}", return_tensors="pt")).logits.softmax(-1).tolist())
`,
  );
  const commands = {
    "ptuning predict": [process.execPath, [join(root, "dist/bin/ptuning.js"), "predict", adapter, sentence]],
    [`ptuning predict, ${base}`]: [
      process.execPath,
      [join(earlier, "dist/cli/main.js"), "predict", adapter, sentence],
    ],
    "transformers script": [referencePython(), [script]],
  };
  const seconds = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
  await inTurns(Object.keys(commands), quick ? 3 : 21, (name, round) => {
    const [command, args] = commands[name];
    const started = performance.now();
    const { status, stderr } = spawnSync(command, args, {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, HF_HUB_OFFLINE: "1" },
    });
    if (status !== 0) throw new Error(stderr);
    // The first round fills the page cache.
    if (round > 0) seconds[name].push((performance.now() - started) / 1000);
  });
  return { seconds };
}

export function table({ seconds }) {
  const rows = Object.entries(seconds).map(([name, values]) => {
    const sorted = values.toSorted((a, b) => a - b);
    return [name, sorted[Math.floor(sorted.length / 2)], sorted[0], sorted.at(-1)];
  });
  const [ours, ...others] = Object.entries(seconds);
  const against = others.map(([name, values]) => `÷ ${name}: ${ratios(ours[1], values)}`);
  const columns = [
    { title: "cold answer to one sentence" },
    ...["median s", "least", "most"].map((title) => ({ title, digits: 2 })),
  ];
  return `## Cold prediction\n\n${markdownTable(columns, rows)}\n\nOurs, ratios of the same round: ${against.join("; ")}.`;
}
