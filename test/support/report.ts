/** A run as its report shows it, with markup in every text that comes from outside. */
import type { DataChecks } from "ptuning/internal/checks";
import type { RunReport } from "ptuning/internal/report";
import { type EvaluationEvent, type StepEvent, settingDefaults } from "ptuning/internal/train";

/** Would show in the page's title if it ever ran. */
export const attack: string =
  '</title></style><script>document.title = "owned"</script><img src=x onerror="document.title=\'owned\'">"\'&';

/** @param labelCount number of labels @param stepCount updates of the run */
export function hostileReport(labelCount = 5, stepCount = 900): RunReport {
  const labels = Array.from({ length: labelCount }, (_, i) => `${attack} ${i}`);
  const steps = Array.from(
    { length: stepCount },
    (_, i): StepEvent => ({
      type: "step",
      step: i + 1,
      epoch: 1 + Math.floor(i / 300),
      loss: 1.6 * Math.exp(-i / 150) + 0.2 + 0.1 * Math.sin(i),
      learningRate: 1e-2 * (1 - i / stepCount),
      gradientNorm: 1 + 0.3 * Math.cos(i),
      examples: 32,
      tokens: 700,
      seconds: 0.1,
      dataSeconds: 0,
    }),
  );
  const evaluations = [300, 600, 900].map(
    (step, i): EvaluationEvent => ({
      type: "evaluation",
      step,
      epoch: i + 1,
      loss: 0.5 - 0.1 * i,
      scores: { accuracy: 0.7 + 0.1 * i, macroF1: 0.6 + 0.1 * i },
      collapsed: false,
      trainLoss: 0.4,
      best: true,
      seconds: 1,
    }),
  );
  const counts = labels.map((_, gold) =>
    labels.map((__, predicted) => (gold === predicted ? 20 : (gold * predicted) % 3)),
  );
  const checks: DataChecks = {
    splits: [
      { name: "train", examples: 1000, duplicates: 3 },
      { name: "dev", examples: 100, duplicates: 0 },
    ],
    labels: labels.map((label, i) => ({ label, train: 200 - i, dev: 20, test: 0 })),
    lengths: {
      splits: [
        { split: "train", sequences: 1000, median: 12, p95: 40, max: 90 },
        { split: "dev", sequences: 100, median: 12, p95: 38, max: 70 },
      ],
      longer: [32, 64, 128].map((maxLength, i) => ({
        maxLength,
        sequences: 100 - 50 * i,
        share: 0.1 - 0.05 * i,
      })),
      histogram: Array.from({ length: 30 }, (_, i) => ({
        from: 3 * i,
        to: 3 * i + 3,
        sequences: 200 - 6 * i,
      })),
      maxLength: 64,
      longest: 128,
    },
    suggestions: { maxLength: 96, batchSize: 32, reasons: ["maxLength 96: 100 % fit."] },
    findings: [
      {
        severity: "error",
        code: "x",
        message: `broken ${attack}`,
        advice: attack,
        places: [{ split: "train", line: 3 }],
      },
      { severity: "warning", code: "y", message: "odd", places: [] },
    ],
  };
  return {
    name: `run ${attack}`,
    task: "text-classification",
    start: {
      type: "start",
      inventory: {
        trainable: { prompt: 90000, head: 2000 },
        trainableTotal: 92000,
        frozen: 22000000,
        share: 0.004,
      },
      settings: {
        ...settingDefaults,
        epochs: 3,
        microBatchSize: 32,
        learningRate: 1e-2,
        headLearningRate: 1e-2,
        optimizer: "adamw",
        maxLength: 64,
        precision: "fp32",
        selectBy: "accuracy",
      },
      examples: { train: 1000, dev: 100 },
      truncated: { train: 5, dev: 0 },
      stepsPerEpoch: 300,
      totalSteps: 900,
      startStep: 0,
      engine: "onnxruntime-node (CPU, 2 threads)",
      memory: { microBatchSize: 32, estimatedBytes: 4e8 },
    },
    steps,
    evaluations,
    warnings: [`careful ${attack}`],
    result: {
      reason: "finished",
      steps: 900,
      seconds: 83,
      best: evaluations[2]!,
      test: { accuracy: 0.88, macroF1: 0.79 },
      baselines: [{ name: "majority class", scores: { accuracy: 0.2, macroF1: 0.05 } }],
      peakMemoryBytes: 4.7e8,
      versions: { ptuning: "0.1.0", node: "20.20.2" },
      hardware: `CPU ${attack}`,
    },
    dev: {
      review: {
        matrices: [{ title: "Confusion matrix", labels, counts }],
        tables: [
          {
            title: "Labels",
            columns: ["label", "examples", "precision", "F1"],
            rows: labels.map((label, i) => [label, 20 + i, 0.5, 0.75]),
          },
        ],
        examples: Array.from({ length: 30 }, (_, index) => ({
          index,
          loss: index === 7 ? 9.5 : index / 100,
          gold: labels[0]!,
          predicted: labels[index % 2]!,
        })),
      },
      example: (index) => ({
        line: index + 1,
        texts: [
          { name: "text", text: `text ${index} ${attack} ${"verylongword".repeat(30)}` },
          { name: "pair", text: "مرحبا بالعالم\nsecond line" },
        ],
      }),
    },
    checks,
    settings: {
      data: { train: `/data/${attack}.csv`, labels: Array.from({ length: 30 }, (_, i) => `l${i}`) },
    },
    notes: [`Without the backbone: ${attack}`],
    createdAt: "2026-01-02T03:04:05.678Z",
    version: "0.1.0",
  };
}
