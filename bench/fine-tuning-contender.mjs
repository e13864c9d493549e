#!/usr/bin/env node
/**
 * Our side of the fine-tuning benchmark: whole steps of train(), in a process of its own. Speaks the JSON lines of
 * contender.mjs.
 *   node bench/fine-tuning-contender.mjs BACKBONE B S
 */
import { readFileSync } from "node:fs";
import { nodeEngine } from "ptuning/engine";
import { loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { fineTuning } from "ptuning/internal/methods";
import { train } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { answerMeasures } from "./processes.mjs";

const [backboneName, b, s] = process.argv.slice(2);
const [B, S] = [b, s].map(Number);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const status = (key) =>
  Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;

say({ idleBytes: status("VmRSS") });
const backbone = await loadBackbone(backboneName, { engine: nodeEngine() });
const labels = ["a", "b", "c"];
const rng = new Rng(1);
// Every text fills the whole length: S − 2 words of one token each.
const text = () => Array.from({ length: S - 2 }, () => `w${1000 + rng.integer(20_000)}`).join(" ");
const examples = Array.from({ length: 100 * B }, (_, i) => ({ text: text(), label: labels[i % 3] }));
const data = { train: examples, dev: [], test: [], labels, fingerprint: "sha256:bench", warnings: [] };
const task = sequenceClassification({ labels, preset: "peft" });
// The checkpoint's dropout, as the other side has it; no state is saved in between.
const settings = { epochs: 1, batchSize: B, maxLength: S, seed: 1, checkpointSeconds: 1e9 };
const events = train({ backbone, task, data, method: fineTuning(), ...settings });
/** Takes events up to the next step, or, without one, to the end. */
async function step() {
  for (;;) {
    const { value, done } = await events.next();
    if (done || value.type === "step") return;
  }
}
for (let i = 0; i < 2; i++) await step();
await answerMeasures(step);
say({ peakBytes: status("VmHWM") });
await events.return();
await backbone.close();
