import { type CpuFacts, cpuFacts } from "../engine/index.ts";
import type { Backbone } from "./load.ts";
import { isQuantized, quantizedWeights } from "./quantize.ts";

/**
 * Precision of the frozen linear layers, forward and backward. `auto` takes int8 where the CPU multiplies it
 * well (VNNI, AMX) and fp32 elsewhere. Everything else is fp32 always.
 */
export type Precision = "fp32" | "int8" | "auto";

/** The precision that `auto` stands for on a machine. */
export function choosePrecision(precision: Precision, cpu: CpuFacts = cpuFacts()): "fp32" | "int8" {
  if (precision !== "auto") return precision;
  return cpu.int8Dot ? "int8" : "fp32";
}

/**
 * The same backbone with weights of the given precision.
 * @param signal ends the making of int8 weights with its reason
 */
export async function withPrecision(
  backbone: Backbone,
  precision: Precision,
  cpu: CpuFacts = cpuFacts(),
  signal?: AbortSignal,
): Promise<Backbone> {
  if (choosePrecision(precision, cpu) === backbone.precision) return backbone;
  // Products of full 8-bit weights overflow on x86 without VNNI: there they keep 7 bits.
  const bits = cpu.x86 && !cpu.int8Dot ? 7 : 8;
  const weights = await quantizedWeights(backbone, bits, process.env, signal);
  // What was built, not what was asked for: a checkpoint may have no layer that int8 suits.
  return { ...backbone, precision: isQuantized(weights) ? "int8" : "fp32", weights };
}
