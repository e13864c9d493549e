export { abortableEngine, abortableSession } from "./abortable.ts";
export { type CpuFacts, cpuFacts, describeMachine } from "./cpu.ts";
export type { CompileOptions, Engine, Held, Keep, Session, Sweep } from "./engine.ts";

export { type NodeEngineOptions, nodeEngine } from "./node.ts";
export { referenceEngine } from "./reference.ts";
export { defaultThreads, type ReadSystemFile, threadLimit } from "./threads.ts";
