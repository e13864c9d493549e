/**
 * Disentangled attention: what content and relative position say of each other (He et al. 2021, arXiv 2006.03654,
 * section 3.1).
 *
 * Legend: B batch, Q queries, R rows of the text, M span, H heads, D head width, E = H·D, r = query − key.
 */
import { addDims, type Dim, multiplyDims, subtractDims } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import { type AttentionPositions, dropout, type LayerContext } from "../nn/index.ts";

/** How a layer reads the table of relative positions. */
interface PositionProjection {
  /** Weights that it reads; while they stay as they are, so does what it makes of the table. */
  readonly weights: readonly string[];
  /** `[N, E]` → `[N, E]` */
  project(rows: Value): Value;
}

/** The table that all layers share. */
export interface RelativePositions {
  /** `[2M, E]`, normalised where the architecture does so. */
  readonly table: Value;
  /** Weights that it comes from. */
  readonly weights: readonly string[];
  /** Row of the table of a relative position r. */
  rowOf(relative: number): number;
  /** The greatest number of rows R. */
  readonly maxRows: number;
}

/** What attention of one layer reads it with; each may be absent. */
export interface DisentangledLayer {
  /** Positions as keys, which content asks for. */
  readonly key?: PositionProjection;
  /** Positions as queries, which ask for content. */
  readonly query?: PositionProjection;
  /** Of every product: 1 / √(D · (1 + their number)). */
  readonly scale: number;
  /** Dropout on the table, drawn for each layer. */
  readonly dropoutRate: number;
}

/** Adds up the logits of both kinds. */
export function disentangled(
  ctx: LayerContext,
  positions: RelativePositions,
  { key: asKey, query: asQuery, scale, dropoutRate }: DisentangledLayer,
): AttentionPositions {
  const { b } = ctx;
  const { table, maxRows, rowOf } = positions;
  return {
    logits(query, key, position) {
      const [rows, , heads, width] = key.shape as [Dim, Dim, number, number];
      const dropped = dropout(ctx, table, dropoutRate);
      // A method that adds to linear layers may add to these.
      const isKept = dropped === table && ctx.adaptLinear === undefined;
      /** Rows of the table behind a projection, by relative position: `[end − start, 1, H, D]`. */
      const read = ({ weights, project }: PositionProjection, order: Order, start: Dim, end: Dim): Value => {
        const places = b.slice(placesOf(b, order, maxRows, rowOf), 0, start, end);
        const isConstant = isKept && [...weights, ...positions.weights].every(ctx.isFrozen);
        // What stays the same is computed once, by the runtime, as it takes the graph over; else only what is needed.
        const found = isConstant
          ? b.op("Gather", [project(table), places], { axis: 0 })
          : project(b.op("Gather", [dropped, places], { axis: 0 }));
        return b.reshape(found, [subtractDims(end, start), 1, heads, width]);
      };
      const product = (left: Value, right: Value): Value =>
        b.op("FusedMatMul", [left, right], { transBatchA: 1, transBatchB: 1, transB: 1, alpha: scale });
      const parts: Value[] = [];
      if (position !== undefined) {
        // One query meets each key at one relative position: r = position … position − R + 1.
        const start = maxRows - 1 - position;
        const window = (projection: PositionProjection): Value =>
          read(projection, "descending", start, addDims(start, rows));
        if (asKey) parts.push(product(query, window(asKey)));
        if (asQuery) {
          const byKey = b.sum(b.op("Mul", [key, window(asQuery)]), [-1], 0);
          const byHead = b.op("Transpose", [byKey], { perm: [1, 2, 0] });
          const shape = [byHead.shape[0]!, heads, 1, rows];
          parts.push(b.op("Mul", [b.reshape(byHead, shape), b.scalar(scale)]));
        }
      } else {
        const [start, end] = [subtractDims(maxRows, rows), addDims(maxRows, rows)];
        if (asKey) {
          parts.push(skew(b, product(query, read(asKey, "descending", start, end)), subtractDims(rows, 1)));
        }
        if (asQuery) {
          const byKey = skew(b, product(key, read(asQuery, "ascending", start, end)), rows);
          parts.push(b.op("Transpose", [byKey], { perm: [0, 1, 3, 2] }));
        }
      }
      return parts.reduce((sum, part) => b.op("Add", [sum, part]));
    },
  };
}

type Order = "ascending" | "descending";

/** Rows of the table for r = −maxRows … maxRows − 1, or the other way round. */
function placesOf(b: GraphBuilder, order: Order, maxRows: number, rowOf: RelativePositions["rowOf"]): Value {
  return b.shared(`relative positions, ${order}`, () => ({
    dtype: "int32",
    shape: [2 * maxRows],
    data: Int32Array.from({ length: 2 * maxRows }, (_, i) =>
      rowOf(order === "ascending" ? i - maxRows : maxRows - 1 - i),
    ),
  }));
}

/**
 * Reads each row of `[B, H, R, 2R]` one place further to the left than the row above it: entry (i, j) of the result is
 * entry (i, first − i + j). Flattened, a row that is one shorter begins one earlier.
 * @returns `[B, H, R, R]`
 */
function skew(b: GraphBuilder, x: Value, first: Dim): Value {
  const [batch, heads, rows, twice] = x.shape as [Dim, Dim, Dim, Dim];
  const shorter = subtractDims(twice, 1);
  const kept = multiplyDims(rows, shorter);
  const shaped = (value: Value, shape: readonly Dim[]): Value => b.op("Reshape", [value, b.dims(shape)]);
  const flat = shaped(x, [batch, heads, multiplyDims(rows, twice)]);
  const moved = b.slice(flat, 2, first, addDims(first, kept));
  return b.slice(shaped(moved, [batch, heads, rows, shorter]), 3, 0, rows);
}
