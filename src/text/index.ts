export { openTokenizer } from "./native.ts";
export * from "./portable.ts";
export type { TrustOptions } from "./trust.ts";
