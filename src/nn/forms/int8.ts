/**
 * 8-bit integers, multiplied as such in both directions. A product cannot read them transposed: a matrix `W [O, I]`
 * becomes two, `….int8.forward [I, O]` with a scale per output, and `….int8.backward [O, I]` with a scale per input,
 * for gradients.
 *
 * Legend: N rows, I and O widths of a linear layer.
 */
import type { GraphBuilder, Value } from "../../graph/index.ts";
import type { LayerContext } from "../context.ts";
import type { StoredTensor, WeightForm } from "./form.ts";

const directions = ["forward", "backward"] as const;
type Direction = (typeof directions)[number];

/** Version of the tensors' layout. */
const layoutVersion = 3;

const stored = (layer: string, direction: Direction): string => `${layer}.weight.int8.${direction}`;

/** Linear layers in int8, forward and backward. */
export const int8: WeightForm = {
  fits: (has, layer) => has(stored(layer, "forward")),
  product(ctx, x, { name, inWidth, outWidth, bias, hasUnevenRows = false }) {
    const [forward, backward] = [stored(name, "forward"), stored(name, "backward")];
    const weights: Int8Weights = {
      forward: ctx.weight(forward, [inWidth, outWidth]),
      forwardScale: ctx.weight(`${forward}.scale`, [outWidth]),
      bias,
    };
    if (ctx.batchInvariant) return productByRow(ctx.b, x, weights);
    return productForTraining(ctx, x, hasUnevenRows, weights, {
      backward: ctx.weight(backward, [outWidth, inWidth]),
      backwardScale: ctx.weight(`${backward}.scale`, [inWidth]),
    });
  },
  hasCoarseGradients: true,
  packedCopies: 1,
  isBestOn: (facts) => facts.int8.isFast,
  stored: {
    layout: (facts) => `int${facts.int8.bits}-v${layoutVersion}`,
    tensors([rows, columns], facts) {
      const largest = 2 ** (facts.int8.bits - 1) - 1;
      return Object.fromEntries(
        directions.flatMap((direction): [string, StoredTensor][] => {
          const layout: Layout = { rows, columns, direction, largest };
          const shape = direction === "forward" ? [columns, rows] : [rows, columns];
          const scales = (matrix: Float32Array): Float32Array => columnScales(matrix, layout);
          return [
            [
              `.int8.${direction}`,
              { dtype: "int8", shape, make: (matrix) => quantize(matrix, scales(matrix), layout) },
            ],
            [`.int8.${direction}.scale`, { dtype: "float32", shape: [shape[1]!], make: scales }],
          ];
        }),
      );
    },
  },
};

interface Int8Weights {
  /** `[I, O]` */
  readonly forward: Value;
  readonly forwardScale: Value;
  readonly bias: Value | undefined;
}

/** Greatest quantised value, and the zero of uint8 that stands for 0. */
const [largest, zero] = [127, 128];
/** Added to a scale, which may be 0. */
const tiny = 1e-20;

/** Each row is brought to uint8 with a scale of its own: what it comes to depends on no other row. */
function productByRow(b: GraphBuilder, x: Value, { forward, forwardScale, bias }: Int8Weights): Value {
  const greatest = b.op("ReduceMax", [b.op("Abs", [x]), b.integers([-1])], { keepdims: 1 });
  const scale = b.op("Add", [b.op("Mul", [greatest, b.scalar(1 / largest)]), b.scalar(tiny)]);
  const rounded = b.op("QuantizeLinear", [b.op("Div", [x, scale]), b.scalar(1), b.byte(zero)]);
  const product = b.op("MatMulIntegerToFloat", [rounded, forward, b.scalar(1), forwardScale, b.byte(zero)]);
  const scaled = b.op("Mul", [product, scale]);
  return bias ? b.op("Add", [scaled, bias]) : scaled;
}

/**
 * One scale for all rows, which takes fewer passes, but where rows are uneven; and a gradient through the second set of
 * weights. With one scale behind MPNet's activations the head's gradient was off by 27 %, that of prompts by 67 %; with one
 * for each row by 14 % and 32 %, of which 8 % and 26 % are the rounding of the weights.
 */
function productForTraining(
  ctx: LayerContext,
  x: Value,
  hasUnevenRows: boolean,
  { forward, forwardScale, bias }: Int8Weights,
  { backward, backwardScale }: { readonly backward: Value; readonly backwardScale: Value },
): Value {
  const { b } = ctx;
  const product = (left: Value, weight: Value, scale: Value, added?: Value): Value =>
    b.op("DynamicQuantizeMatMul", [left, weight, scale, undefined, added]);
  const scaled = ctx.unevenGradients ? byRow(b) : (rows: Value, map: (rows: Value) => Value) => map(rows);
  return b.withGradient(
    bias ? [x, bias] : [x],
    () =>
      hasUnevenRows
        ? productByRow(b, x, { forward, forwardScale, bias })
        : product(x, forward, forwardScale, bias),
    (grad, needs) => [
      needs[0] ? scaled(grad, (rows) => product(rows, backward, backwardScale)) : undefined,
      ...(bias ? [needs[1] ? b.sum(grad, [0], 0) : undefined] : []),
    ],
  );
}

/**
 * Maps rows linearly, each brought to mean square 1 before and back after: one scale of a quantised product then serves
 * all rows. Gradients of a span loss were off by 13 % so instead of by 34 %, those of a tag loss by 6 % instead of 10 %.
 */
function byRow(b: GraphBuilder): (rows: Value, map: (rows: Value) => Value) => Value {
  return (rows, map) => {
    const square = b.op("ReduceMean", [b.op("Mul", [rows, rows]), b.integers([-1])], { keepdims: 1 });
    const size = b.op("Add", [b.op("Sqrt", [square]), b.scalar(tiny)]);
    return b.op("Mul", [map(b.op("Div", [rows, size])), size]);
  };
}

interface Layout {
  /** Of the matrix: O and I. */
  readonly rows: number;
  readonly columns: number;
  /** Forward stores the transposed matrix. */
  readonly direction: "forward" | "backward";
  /** Greatest absolute value of a quantised weight. */
  readonly largest: number;
}

/** One scale per column of the quantised matrix: its greatest absolute value becomes `largest`. */
function columnScales(weight: Float32Array, { rows, columns, direction, largest }: Layout): Float32Array {
  const isForward = direction === "forward";
  const scales = new Float32Array(isForward ? rows : columns);
  for (let o = 0; o < rows; o++) {
    for (let i = 0; i < columns; i++) {
      const column = isForward ? o : i;
      scales[column] = Math.max(scales[column]!, Math.abs(weight[o * columns + i]!));
    }
  }
  return scales.map((greatest) => greatest / largest || 1);
}

/** Symmetric int8 with one scale per column of the result. */
function quantize(
  weight: Float32Array,
  scales: Float32Array,
  { rows, columns, direction }: Layout,
): Int8Array {
  const values = new Int8Array(rows * columns);
  for (let o = 0; o < rows; o++) {
    for (let i = 0; i < columns; i++) {
      const value = weight[o * columns + i]!;
      if (direction === "forward") values[i * rows + o] = Math.round(value / scales[o]!);
      else values[o * columns + i] = Math.round(value / scales[i]!);
    }
  }
  return values;
}
