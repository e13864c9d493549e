/** TF-IDF + logistic regression of real questions beside scikit-learn's. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTable } from "ptuning/data";
import { TfidfVectorizer } from "ptuning/internal/baselines";
import { fitLogisticRegression } from "ptuning/internal/fit";
import { expect, test } from "vitest";
import { referencePython } from "../../tools/reference/run.mjs";
import { has, repository, sharedData } from "../support/requirements.ts";

test.skipIf(!has.python || !has.data)(
  "scores equal scikit-learn's",
  async () => {
    const data = await readTable(`${sharedData}/trec/train.txt`, {
      text: 1,
      labelPattern: "^(?<label>\\w+):\\S+ (?<text>.*)$",
    });
    const texts = (examples: readonly { text: unknown }[]): string[] =>
      examples.map(({ text }) => String(text));
    const train = data.train.slice(0, 500);
    const labels = train.map(({ label }) => data.labels.indexOf(label!));
    const given = { train: texts(train), labels, test: texts(data.dev.slice(0, 100)), C: [1, 10, 100] };
    const folder = await mkdtemp(join(tmpdir(), "ptuning-baselines-"));
    try {
      const [input, output] = [join(folder, "in.json"), join(folder, "out.json")];
      await writeFile(input, JSON.stringify(given));
      const args = [`${repository}tools/reference/baselines.py`, input, output];
      // On arrays this small the threads of the linear algebra only wait for one another.
      const env = { ...process.env, OPENBLAS_NUM_THREADS: "1" };
      const { status, stderr } = spawnSync(referencePython(), args, { encoding: "utf8", env });
      expect(status, stderr).toBe(0);
      const theirs: number[][][] = JSON.parse(await readFile(output, "utf8"));
      const vectorizer = new TfidfVectorizer(given.train);
      const [rows, others] = [vectorizer.transform(given.train), vectorizer.transform(given.test)];
      for (const [i, C] of given.C.entries()) {
        const ours = fitLogisticRegression(rows, labels, data.labels.length, { C, tolerance: 1e-6 }).decision(
          others,
        );
        const differences = theirs[i]!.flat().map((score, j) => Math.abs(score - ours[j]!));
        expect(Math.max(...differences), `C ${C}`).toBeLessThan(0.01);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  120_000,
);
