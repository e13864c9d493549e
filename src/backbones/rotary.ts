/** Legend: E hidden size, H heads, D head width. */
import { floats } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import type { AttentionPositions, LayerContext } from "../nn/index.ts";
import type { BackboneConfig } from "./architecture.ts";

/** A check of a configuration: halves of each head are turned, so its width is even. */
export const hasEvenHeads = (config: {
  readonly hidden_size: number;
  readonly num_attention_heads: number;
}): boolean => config.hidden_size % (2 * config.num_attention_heads) === 0;

/** What {@link hasEvenHeads} says where that does not hold. */
export const evenHeads = {
  path: ["num_attention_heads"] as string[],
  message: "expected heads of an even width that divide hidden_size",
};

/**
 * Turns halves of each head against each other by angles position · θ^(−2i/D) (Su et al. 2021, arXiv 2104.09864, in the
 * order of transformers).
 */
export function rotary({ b }: LayerContext, config: BackboneConfig, theta: number): AttentionPositions {
  const { maxPositions, hiddenSize, numHeads } = config;
  const half = hiddenSize / numHeads / 2;
  const table = (name: string, of: (angle: number) => number): Value =>
    b.shared(`${name}, base ${theta}`, () => {
      const exact = Float64Array.from({ length: maxPositions * half }, (_, i) =>
        of(Math.floor(i / half) * theta ** (-(i % half) / half)),
      );
      return { ...floats([maxPositions, 1, 1, half], exact), exact };
    });
  return {
    rotate(x, position) {
      const [first, end] = position === undefined ? [0, x.shape[0]!] : [position, position + 1];
      const [cos, sin] = [table("cosines", Math.cos), table("sines", Math.sin)].map((all) =>
        b.slice(all, 0, first, end),
      ) as [Value, Value];
      const [a, c] = b.ops("Split", 2, [x, b.integers([half, half])], { axis: 3 }) as [Value, Value];
      const product = (left: Value, right: Value): Value => b.op("Mul", [left, right]);
      const turned = [
        b.op("Sub", [product(a, cos), product(c, sin)]),
        b.op("Add", [product(c, cos), product(a, sin)]),
      ];
      return b.op("Concat", turned, { axis: 3 });
    },
  };
}
