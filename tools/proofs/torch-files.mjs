/**
 * A checkpoint in a file of PyTorch loads as fast and as small as in safetensors: BERT-large with random weights (small: a
 * small one), in the zip form and the one before, as `torch.save` writes them. Each load is a process of its own that opens the
 * backbone and embeds two texts; forms take turns, and each round starts with another one. Files are in the page cache;
 * their hashes are not known (`fresh`), or known from an earlier load. Ratios are of medians; embeddings are equal to the
 * bit.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { randomBackbone } from "../../bench/random-backbone.mjs";
import { root } from "../prepare.mjs";
import { referencePython } from "../reference/run.mjs";
import { scratch } from "../scratch.mjs";
import { inOwnProcess, internals } from "./support/part.mjs";

const self = fileURLToPath(import.meta.url);
const forms = ["safetensors", "zip", "legacy"];
const sizes = {
  small: { backbone: "small", rounds: 1 },
  full: { backbone: "bert-large", rounds: 7 },
};
/** Of one form's time and memory over those of safetensors. */
const bars = { time: 1.5, memory: 1.2 };

/** @param {{ size: "full" | "small" }} options */
export async function prove({ size }) {
  const { backbone, rounds } = sizes[size];
  const source = await randomBackbone(backbone);
  const folder = await scratch("torch-files", join(root, ".cache"));
  const script = join(root, "tools/reference/torch_twins.py");
  const { status, stderr } = spawnSync(referencePython(), [script, source, folder], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  const folderOf = { safetensors: source, zip: join(folder, "zip"), legacy: join(folder, "legacy") };
  // No hash is kept of a file that was written just now.
  await delay(2500);
  const figures = { fresh: {}, known: {} };
  for (const hashes of Object.keys(figures)) {
    const taken = Object.fromEntries(forms.map((form) => [form, []]));
    // Round 0 fills the caches.
    for (let round = 0; round <= rounds; round++) {
      for (let turn = 0; turn < forms.length; turn++) {
        const form = forms[(round + turn) % forms.length];
        const cache = join(folder, hashes === "known" ? "cache" : `cache-${form}-${round}`);
        const one = await load(folderOf[form], cache);
        if (round > 0) taken[form].push(one);
      }
    }
    const expected = String(taken.safetensors[0].vectors);
    const plain = mediansOf(taken.safetensors);
    for (const form of forms) {
      if (taken[form].some(({ vectors }) => String(vectors) !== expected))
        throw new Error(`${form}: expected the embeddings of safetensors, got others.`);
      const own = mediansOf(taken[form]);
      const ratios = { time: own.seconds / plain.seconds, memory: own.peakBytes / plain.peakBytes };
      figures[hashes][form] = { ...own, ratios };
      const missed = Object.keys(bars).find((bar) => ratios[bar] > bars[bar]);
      // A small checkpoint's time is the start of the process.
      if (size === "full" && missed !== undefined)
        throw new Error(
          `${form}, ${hashes}: ${missed}: expected at most ${bars[missed]} times, got ${ratios[missed]}.`,
        );
    }
  }
  const { size: fileBytes } = statSync(join(source, "model.safetensors"));
  return { backbone: `${backbone}, random`, fileBytes, rounds, bars, equal: true, figures };
}

function mediansOf(taken) {
  const median = (key) =>
    taken.map((one) => one[key]).toSorted((a, b) => a - b)[Math.floor(taken.length / 2)];
  return {
    openSeconds: median("openSeconds"),
    seconds: median("seconds"),
    peakBytes: median("peakBytes"),
  };
}

/** One load. */
function load(folder, cache) {
  return inOwnProcess(self, ["load", folder], {
    what: folder,
    env: { ...process.env, PTUNING_CACHE: cache },
  });
}

if (process.argv[2] === "load") {
  const { embedTexts, loadBackbone } = await internals("backbones", "predict");
  const started = performance.now();
  const backbone = await loadBackbone(process.argv[3]);
  const openSeconds = (performance.now() - started) / 1000;
  const vectors = (await embedTexts(["w10 w11 w12", "w13"], backbone)).map((vector) => [...vector]);
  const seconds = (performance.now() - started) / 1000;
  await backbone.close();
  const peakBytes = 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  process.send({ openSeconds, seconds, peakBytes, vectors });
  process.disconnect();
}
