import type { Node } from "./graph.ts";
import { type OpName, ops } from "./table.ts";

/** What is run of an op. */
export interface OpLimits {
  /** Outputs of a node at most; left out, any number. */
  readonly outputs?: number;
}

/** Ops that something runs as they are, with their limits. */
export type OpSupport = { readonly [O in OpName]?: OpLimits };

const names = Object.keys(ops) as OpName[];
const supportOf = (chosen: readonly OpName[]): OpSupport => Object.fromEntries(chosen.map((op) => [op, {}]));

/** The whole table: what ONNX Runtime runs on a CPU. */
export const everyOp: OpSupport = supportOf(names);

/** ONNX's own ops, which every runtime of its operator set has. */
export const standardOps: OpSupport = supportOf(names.filter((op) => ops[op].domain === ""));

/** These ops without some. */
export function withoutOps(support: OpSupport, lacking: readonly OpName[]): OpSupport {
  return Object.fromEntries(Object.entries(support).filter(([op]) => !lacking.includes(op as OpName)));
}

/** Whether a node is run as it is. */
export function isSupported({ op, outputs }: Node, support: OpSupport): boolean {
  const limits = support[op];
  return limits !== undefined && outputs.length <= (limits.outputs ?? Number.POSITIVE_INFINITY);
}
