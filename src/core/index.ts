export * from "./closest.ts";
export * from "./dim.ts";
export * from "./dtype.ts";
export * from "./errors.ts";
export * from "./half.ts";
export * from "./resources.ts";
export * from "./rng.ts";
export * from "./tensor.ts";
