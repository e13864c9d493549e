import { choosePrecision, type Precision } from "../backbones/index.ts";
import { PtuningError } from "../core/index.ts";
import type { Method } from "./method.ts";

/**
 * What a wanted precision comes to beside a method: `auto` is fp32 where the method cannot have int8 layers.
 * @throws OPTION_INVALID if it cannot and int8 is wanted
 */
export function precisionFor({ name, int8 }: Method, precision: Precision): "fp32" | "int8" {
  if (int8 === undefined) return choosePrecision(precision);
  if (precision === "int8") {
    throw new PtuningError(
      "OPTION_INVALID",
      `precision: expected fp32 with ${name}, as ${int8.reason}, got int8.`,
    );
  }
  return "fp32";
}
