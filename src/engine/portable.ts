/** What needs no Node of this folder. */
export { abortableEngine, abortableSession } from "./abortable.ts";
export type { CompileOptions, Engine, Held, Keep, Session, Sweep } from "./engine.ts";
export { type ExternalPlaces, externalPlaces, type NamedBytes } from "./external.ts";
export { referenceEngine } from "./reference.ts";
