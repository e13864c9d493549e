export {
  type BackboneDropout,
  bareGraph,
  embeddingsOutput,
  featuresGraph,
  featuresOutput,
  foldParams,
  gradientOutput,
  inferenceGraph,
  logitsOutput,
  lossScaleInput,
  type MemoryMode,
  meanPoolingGraph,
  prepackFor,
  type TrainingGraph,
  trainingGraph,
} from "./graphs.ts";
export { type Inventory, inventory } from "./inventory.ts";
export { keysAndValues } from "./keys-and-values.ts";
export {
  type BareSource,
  bareInput,
  batchFeeds,
  checkMaxLength,
  checkTogether,
  headParameter,
  longestInput,
  type ModelParts,
  missingWeights,
  type Trunk,
  type TrunkDtype,
  trunkStates,
  weightPrefix,
} from "./model.ts";
export { headShapes, initializeParams, type ParamShapes, paramShapes, rateFactors } from "./parameters.ts";
export { mixedGraph, tableGraph, tableInputs, tableRows, tableWidth } from "./table.ts";
export { trunkGraph, trunkLayers } from "./trunk.ts";
