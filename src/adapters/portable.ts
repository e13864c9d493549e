/** What needs no Node of this folder. */
export {
  Adapter,
  type AdapterFields,
  attach,
  type BackboneReference,
  backboneDoubts,
  checkBackbone,
  type Provenance,
  referenceTo,
} from "./adapter.ts";
export type { CheckpointSource } from "./checkpoint.ts";
export { mergeAdapter } from "./merge.ts";
export { MultiTaskAdapter, type MultiTaskFields, type TaskHead } from "./multi-task.ts";
export {
  headOf,
  type LoadAdapterOptions,
  parseAdapter,
  parseSavedAdapter,
  type SavedAdapter,
} from "./parse.ts";
export { type PeftForm, peftForm } from "./peft/form.ts";
export { peftHead } from "./peft/heads.ts";
export { expectPublishable } from "./publishable.ts";
export { saveAdapter } from "./save.ts";
export { type AdapterSource, readAdapter } from "./source.ts";
