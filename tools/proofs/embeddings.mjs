/**
 * Real weights: vectors of sentences by the untouched backbones of the catalog equal those of transformers to 1e-5.
 * small: 24 texts, MiniLM. full: 400 texts, MiniLM and MPNet.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadBackbone } from "ptuning/internal/backbones";
import { embedTexts } from "ptuning/internal/predict";
import { root } from "../prepare.mjs";
import { referencePython } from "../reference/run.mjs";
import { scratch } from "../scratch.mjs";

const bar = 1e-5;
const odd = [
  "!",
  "ｆｕｌｌ ｗｉｄｔｈ ½ ™",
  "a".repeat(300),
  "the film ".repeat(400),
  "naïve café — déjà vu",
];

export async function prove({ size }) {
  const sentences = readFileSync(join(root, "../shared/data/sst2/stsa.binary.test"), "utf8").split("\n");
  const texts = [...odd, ...sentences.slice(0, size === "small" ? 19 : 395).map((line) => line.slice(2))];
  const folder = await scratch("embeddings");
  const file = join(folder, "texts.json");
  const rows = [];
  try {
    writeFileSync(file, JSON.stringify(texts));
    for (const name of size === "small" ? ["minilm"] : ["minilm", "mpnet"]) {
      const backbone = await loadBackbone(name);
      const script = join(root, "tools/reference/embed.py");
      const { status, stdout, stderr } = spawnSync(referencePython(), [script, backbone.folder, file], {
        encoding: "utf8",
        maxBuffer: 2 ** 28,
      });
      if (status !== 0) throw new Error(`${name}: ${stderr}`);
      const expected = JSON.parse(stdout);
      let greatest = 0;
      const vectors = await embedTexts(texts, backbone).finally(() => backbone.close());
      for (const [i, vector] of vectors.entries())
        for (const [j, x] of vector.entries()) greatest = Math.max(greatest, Math.abs(x - expected[i][j]));
      rows.push({ backbone: name, texts: texts.length, greatestDifference: Number(greatest.toPrecision(2)) });
      if (!(greatest <= bar)) throw new Error(`${name}: expected at most ${bar}, got ${greatest}.`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { bar, rows };
}
