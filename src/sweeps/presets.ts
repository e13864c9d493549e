import type { SearchConfig } from "../config/index.ts";
import type { Space } from "./space.ts";

/** Searches that have a name. */
export const presets: Readonly<Record<NonNullable<SearchConfig["preset"]>, Space>> = {
  // The released search script of P-Tuning v2 (search_copa_roberta.sh): 3 × 6 × 6 runs.
  "p-tuning-v2": {
    "training.learningRate": [5e-3, 7e-3, 1e-2],
    "method.promptLength": [4, 8, 16, 32, 64, 128],
    "training.epochs": [20, 40, 60, 80, 100, 120],
    "training.batchSize": [16],
    "training.hiddenDropout": [0.1],
    "training.seed": [11],
  },
};
