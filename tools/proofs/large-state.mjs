/**
 * Training states beyond 4 GiB: all weights of a random BERT-large are trained with AdamW, its state is saved in the midst
 * and gone on with by another process. Weights, two moments of each and the best weights so far make 5.4 GB. Losses
 * after resuming equal those of the run that never stopped, to the bit. Needs some 16 GB of memory and 8 GB of disk.
 */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../prepare.mjs";
import { scratch } from "../scratch.mjs";
import { inOwnProcess, internals } from "./support/part.mjs";

const self = fileURLToPath(import.meta.url);

/** Steps of the whole run, and where it is saved. */
const [steps, savedAt] = [4, 2];

/** @param {{ size: "full" | "small" }} options */
export async function prove({ size }) {
  const { randomBackbone } = await import("../../bench/random-backbone.mjs");
  const backbone = size === "full" ? "bert-large" : "small";
  const checkpoint = await randomBackbone(backbone);
  const folder = await scratch("large-state", join(root, ".cache"));
  const state = join(folder, "state.safetensors");
  try {
    const whole = await part({ checkpoint, state, resume: false });
    const stateBytes = statSync(state).size;
    const rest = await part({ checkpoint, state, resume: true });
    if (size === "full" && stateBytes <= 2 ** 32)
      throw new Error(`state: expected more than 4 GiB, got ${stateBytes} bytes.`);
    const after = whole.losses.slice(savedAt);
    if (rest.losses.length !== steps - savedAt || String(rest.losses) !== String(after))
      throw new Error(`losses: expected ${after}, got ${rest.losses}.`);
    if (rest.devLoss !== whole.devLoss)
      throw new Error(`dev loss: expected ${whole.devLoss}, got ${rest.devLoss}.`);
    return {
      backbone: `${backbone}, random`,
      trained: whole.trained,
      stateBytes,
      lossesAfter: after,
      lossesResumed: rest.losses,
      equal: true,
      saveSeconds: whole.saveSeconds,
      readSeconds: rest.readSeconds,
      peakBytesWhole: whole.peakBytes,
      peakBytesResumed: rest.peakBytes,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Half of the proof. */
function part(options) {
  return inOwnProcess(self, ["part", JSON.stringify(options)], { what: "a part" });
}

async function runPart({ checkpoint, state, resume }) {
  const { fineTuning, loadBackbone, nodeEngine, readState, sequenceClassification, train } = await internals(
    ...["backbones", "engine", "methods", "tasks", "train"],
  );
  const backbone = await loadBackbone(checkpoint, { engine: nodeEngine() });
  const texts = (count) =>
    Array.from({ length: count }, (_, i) => ({
      text: `w${10 + i} w${20 + i} w${30 + i}`,
      label: `${i % 2}`,
    }));
  const started = performance.now();
  let saved = resume ? await readState(state) : undefined;
  const readSeconds = (performance.now() - started) / 1000;
  const run = train({
    backbone,
    task: sequenceClassification({ labels: ["0", "1"] }),
    data: {
      ...{ train: texts(steps / 2), dev: texts(2), test: [], labels: ["0", "1"], warnings: [] },
      fingerprint: "sha256:large-state",
    },
    ...{ method: fineTuning(), optimizer: "adamw", precision: "fp32", memory: "lean" },
    ...{ epochs: 2, batchSize: 1, maxLength: 8, learningRate: 1e-4, seed: 3, checkpointSeconds: 1e9 },
    ...(saved && { resume: saved }),
  });
  saved = undefined;
  const figures = { losses: [], readSeconds };
  for await (const event of run) {
    if (event.type === "start") figures.trained = event.inventory.trainableTotal;
    if (event.type === "step") figures.losses.push(event.loss);
    if (event.type === "evaluation") figures.devLoss = event.loss;
    if (event.type !== "checkpoint" || resume || event.step !== savedAt) continue;
    const before = performance.now();
    await event.save(state);
    figures.saveSeconds = (performance.now() - before) / 1000;
  }
  await backbone.close();
  process.send({ ...figures, peakBytes: process.resourceUsage().maxRSS * 1024 });
}

if (process.argv[2] === "part") {
  await runPart(JSON.parse(process.argv[3]));
  process.disconnect();
}
