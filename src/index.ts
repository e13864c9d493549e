/**
 * P-Tuning v2 in TypeScript. The parts that most programs need; `ptuning/data`, `ptuning/tasks` and `ptuning/engine` have more. What
 * stands under `ptuning/internal/` may change with every version.
 *
 * @packageDocumentation
 */
export { type Adapter, loadAdapter } from "./adapters/index.ts";
export { type Backbone, loadBackbone } from "./backbones/index.ts";
export { PtuningError } from "./core/index.ts";
export { type Dataset, readDataset, readExamples, readTable, type TextExample } from "./data/index.ts";
export { type Engine, nodeEngine } from "./engine/index.ts";
export { bitfit, deepPrompt, fineTuning, linearProbe, lora, promptTuning, pTuning } from "./methods/index.ts";
export {
  createPredictor,
  createPredictorPool,
  type Predictor,
  type PredictorPool,
  zeroShot,
} from "./predict/index.ts";
export {
  multiLabelClassification,
  multipleChoice,
  questionAnswering,
  semanticRoles,
  sequenceClassification,
  type TextPrediction,
  textRegression,
  tokenClassification,
} from "./tasks/index.ts";
export { type TrainEvent, type TrainOptions, train } from "./train/index.ts";
