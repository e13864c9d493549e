import { affine } from "../affine.ts";
import type { WeightForm } from "./form.ts";

/** The matrix as the checkpoint has it; 16-bit floats are widened in the graph. A weight that is trained is always so. */
export const fp32: WeightForm = {
  fits: (has, layer) => has(`${layer}.weight`),
  product: (ctx, x, { name, inWidth, outWidth, bias }) =>
    affine(ctx, x, ctx.weight(`${name}.weight`, [outWidth, inWidth]), bias),
  hasCoarseGradients: false,
  // Packed for each direction.
  packedCopies: 2,
  isBestOn: () => false,
};
