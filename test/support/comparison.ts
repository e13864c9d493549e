/** Comparisons as they are shown, with markup in every text that comes from outside. */
import type { ComparedRun, ComparedVariant, Comparison } from "ptuning/internal/report";
import { attack } from "./report.ts";

const facts = {
  task: "text-classification",
  backbone: `tiny ${attack}`,
  fingerprints: { data: "sha256:data", backbone: "sha256:backbone" },
  hardware: `CPU ${attack}`,
  createdAt: "2026-01-02T03:04:05.678Z",
  version: "0.1.0",
} as const;

/** A finished run. */
export function finishedRun(seed: number, accuracy: number): ComparedRun {
  return {
    ...{
      seed,
      id: "0123456789ab",
      state: "finished",
      dev: { accuracy: accuracy + 0.01 },
      test: { accuracy, macroF1: accuracy / 2 },
    },
    ...{ trainable: 94_470, secondsPerEpoch: 11.25, secondsToBest: 40, precision: "int8" },
    ...{ peakMemoryBytes: 512_000_000, fileBytes: 379_000 },
  };
}

const failedRun = (seed: number): ComparedRun => ({
  ...{
    seed,
    id: "0123456789ab",
    state: "failed",
    error: { code: "TRAINING_DIVERGED", message: `loss: expected a number ${attack}\nsecond line` },
  },
});

/** Methods side by side: one with a failed run, one that failed altogether, one that waits. */
export function methodComparison(): Comparison {
  const variants: ComparedVariant[] = [
    { name: "p-tuning-v2", runs: [finishedRun(11, 0.94), finishedRun(12, 0.95), finishedRun(13, 0.93)] },
    { name: "fine-tuning", runs: [finishedRun(11, 0.96), failedRun(12), finishedRun(13, 0.97)] },
    { name: `bitfit ${attack}`, runs: [failedRun(11), failedRun(12), failedRun(13)] },
    {
      name: "linear-probe",
      runs: [11, 12, 13].map((seed) => ({ seed, id: "0123456789ab", state: "waiting" })),
    },
  ];
  const score = { name: "accuracy", on: "test" } as const;
  return { title: `Methods ${attack}`, ...facts, score, variants, figure: { shape: "bars" } };
}

/** Prompts on more and more layers, from below and from above. */
export function depthComparison(): Comparison {
  const point = (name: string, at: number, mean: number, series?: string): ComparedVariant => ({
    ...{ name, at, ...(series && { series }) },
    runs: [finishedRun(11, mean), finishedRun(12, mean + 0.04)],
  });
  const variants = [
    ...[1, 2, 3].map((k) => point(`first ${k}`, k, 0.5 + 0.1 * k, "ascending")),
    ...[1, 2, 3].map((k) => point(`last ${k}`, k, 0.7 + 0.05 * k, "descending")),
    point("all 4", 4, 0.91),
  ];
  return {
    ...{ title: `Prompt depth ${attack}`, ...facts, score: { name: "accuracy", on: "dev" }, variants },
    figure: { shape: "lines", axis: "layers with prompts", scale: "linear" },
  };
}
