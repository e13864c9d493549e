/** A training step on architectures whose attention takes no prefix in PEFT, beside a plain PyTorch loop. */
import { stepBenchmark } from "./step-benchmark.mjs";

const works = [
  { name: "MPNet-base B 16 S 64 P 20", backbone: "mpnet", shape: [16, 64, 20], steps: 2, rounds: 5 },
  { name: "DeBERTa-base B 16 S 64 P 20", backbone: "deberta-base", shape: [16, 64, 20], steps: 2, rounds: 5 },
];

export const { measure, table, figure } = stepBenchmark({
  title: "A training step on other architectures",
  rival: "PyTorch",
  // Prompts put in by hand break its graphs.
  compiles: false,
  works,
});
