export { type CpuFacts, cpuFacts, describeMachine } from "./cpu.ts";
export { type NodeEngineOptions, nodeEngine } from "./node.ts";
export * from "./portable.ts";
export { defaultThreads, type ReadSystemFile, threadLimit } from "./threads.ts";
