import { choosePrecision, type Precision } from "../backbones/portable.ts";
import { PtuningError } from "../core/index.ts";
import type { EngineFacts } from "../engine/index.ts";
import type { FormName } from "../nn/index.ts";
import type { Method } from "./method.ts";

/**
 * What a wanted precision comes to beside a method on an engine: `auto` is fp32 where the method cannot have other layers.
 * @throws OPTION_INVALID if it cannot and others are wanted
 */
export function precisionFor({ name, fp32Only }: Method, precision: Precision, facts: EngineFacts): FormName {
  if (fp32Only === undefined) return choosePrecision(precision, facts);
  if (precision !== "fp32" && precision !== "auto") {
    throw new PtuningError(
      "OPTION_INVALID",
      `precision: expected fp32 with ${name}, as ${fp32Only.reason}, got ${precision}.`,
    );
  }
  return "fp32";
}
