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
export { type CatalogEntry, catalog } from "./catalog.ts";
export { type Checkpoint, openCheckpoint, readWeight } from "./checkpoint.ts";
export { wordTable } from "./embeddings.ts";
export { limits } from "./limits.ts";
export { hasLmHead, type LmHead } from "./lm-head.ts";
export { type Backbone, type LoadBackboneOptions, loadBackbone, parseArchitecture } from "./load.ts";
export {
  type CachedBackbone,
  type LocateOptions,
  listCachedBackbones,
  locateBackbone,
  removeCachedBackbone,
} from "./locate.ts";
export { choosePrecision, type Precision, withPrecision } from "./precision.ts";
export { architectures, peftModulesOf, peftRefusalOf } from "./registry.ts";
export { weightNamer } from "./weight-names.ts";
