/** What needs no Node of this folder. */
export { abortable } from "./abortable.ts";
export type {
  Adaptation,
  Architecture,
  BackboneConfig,
  BackboneInputs,
  InputPrompt,
  LayerStretch,
  LinearLayer,
  RowsRead,
  WeightShapes,
} from "./architecture.ts";
export {
  type Backbone,
  type BackboneHost,
  type ParseBackboneOptions,
  parseArchitecture,
  parseBackbone,
  portableHost,
} from "./backbone.ts";
export { type CatalogEntry, catalog } from "./catalog.ts";
export { type Checkpoint, openCheckpoint, readWeight } from "./checkpoint.ts";
export { wordTable } from "./embeddings.ts";
export { limits } from "./limits.ts";
export { hasLmHead, type LmHead } from "./lm-head.ts";
export type { WeightMaker, WeightsToMake } from "./made-weights.ts";
export { choosePrecision, type Precision, withPrecision } from "./precision.ts";
export { architectures, peftModulesOf, peftRefusalOf } from "./registry.ts";
export { weightNamer } from "./weight-names.ts";
