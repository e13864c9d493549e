export {
  type BackboneDropout,
  foldParams,
  gradientOutput,
  inferenceGraph,
  lossScaleInput,
  meanPoolingGraph,
  type TrainingGraph,
  trainingGraph,
} from "./graphs.ts";
export { type Inventory, inventory } from "./inventory.ts";
export {
  batchFeeds,
  checkMaxLength,
  longestInput,
  type ModelParts,
  missingWeights,
  weightPrefix,
} from "./model.ts";
export { initializeParams, type ParamShapes, paramShapes } from "./parameters.ts";
