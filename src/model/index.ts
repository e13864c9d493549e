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
  initializeParams,
  longestInput,
  type ModelParts,
  missingWeights,
} from "./model.ts";
