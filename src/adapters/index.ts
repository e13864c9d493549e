export {
  Adapter,
  type AdapterFields,
  attach,
  type BackboneReference,
  checkBackbone,
  type Provenance,
  referenceTo,
} from "./adapter.ts";
export type { CheckpointSource } from "./checkpoint.ts";
export { type LoadAdapterOptions, loadAdapter } from "./load.ts";
export { saveAdapter } from "./save.ts";
