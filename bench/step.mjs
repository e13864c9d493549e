/** A training step beside PEFT's. */
import { stepBenchmark } from "./step-benchmark.mjs";

const works = [
  { name: "MiniLM B 32 S 20 P 20", backbone: "minilm", shape: [32, 20, 20], steps: 10, rounds: 7 },
  { name: "BERT-base B 32 S 64 P 20", backbone: "bert-base", shape: [32, 64, 20], steps: 2, rounds: 5 },
  {
    name: "BERT-large B 16 S 128 P 20",
    backbone: "bert-large",
    shape: [16, 128, 20],
    steps: 1,
    rounds: 3,
    alone: true,
  },
];

export const { measure, table, figure } = stepBenchmark({ title: "A training step", rival: "PEFT", works });
