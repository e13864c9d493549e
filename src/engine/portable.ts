/** What needs no Node of this folder. */
export { abortableEngine, abortableSession } from "./abortable.ts";
export type {
  CompileOptions,
  Device,
  Engine,
  EngineFacts,
  Held,
  Int8Facts,
  Keep,
  Session,
  Sweep,
} from "./engine.ts";
export { type ExternalPlaces, externalPlaces, type NamedBytes } from "./external.ts";
export { limitedEngine } from "./limited.ts";
export { referenceEngine } from "./reference.ts";
export { webgpuOps } from "./webgpu.ts";
