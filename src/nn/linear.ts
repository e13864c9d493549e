/** Legend: N rows, I and O widths of a linear layer. */
import type { Value } from "../graph/index.ts";
import type { LayerContext } from "./context.ts";
import { formOf, weightForms } from "./forms/registry.ts";

/** What not every linear layer has. */
export interface LinearOptions {
  /** Default true. */
  readonly hasBias?: boolean;
  /**
   * Whether some rows of x are far larger than others, as they are behind the activation of a feed-forward layer: one scale
   * for all, rounded to 8 bits, would leave the others a few of them. Default false.
   */
  readonly hasUnevenRows?: boolean;
}

/**
 * `x · Wᵀ + bias`: `[N, I]` → `[N, O]`; the checkpoint stores W as `[O, I]`. The product is that of the form which holds
 * the frozen weights of this layer, in both directions; a method may add to it.
 */
export function linear(
  ctx: LayerContext,
  x: Value,
  name: string,
  outWidth: number,
  { hasBias = true, hasUnevenRows = false }: LinearOptions = {},
): Value {
  const inWidth = x.shape[1] as number;
  const bias = hasBias ? ctx.weight(`${name}.bias`, [outWidth]) : undefined;
  const form = weightForms[formOf(ctx.hasWeight, name)];
  return ctx.b.scope(name, () => {
    const y = form.product(ctx, x, { name, inWidth, outWidth, bias, hasUnevenRows });
    return ctx.adaptLinear?.(name, x, y) ?? y;
  });
}
