import { everyOp, type OpSupport, withoutOps } from "../graph/index.ts";

/**
 * What ONNX Runtime best gets where it computes by WebGPU. For want of a kernel it computes an op on the CPU, and copies to
 * and fro: common ones are better in their parts. Kernels bind 10 buffers at most: one input and 9 outputs of a Split.
 */
export const webgpuOps: OpSupport = {
  ...withoutOps(everyOp, ["FusedMatMul", "LogSoftmax"]),
  Split: { outputs: 9 },
};
