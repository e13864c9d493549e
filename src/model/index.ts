export {
  type BackboneDropout,
  foldParams,
  gradientOutput,
  inferenceGraph,
  lossScaleInput,
  type MemoryMode,
  meanPoolingGraph,
  prepackFor,
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
  type Trunk,
  type TrunkDtype,
  trunkStates,
} from "./model.ts";
export { trunkGraph, trunkLayers } from "./trunk.ts";
