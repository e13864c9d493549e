/**
 * A number format of frozen matrices: how layers multiply by it, and how it is made.
 *
 * Legend: N rows, I and O widths of a linear layer.
 */
import type { DType } from "../../core/index.ts";
import type { EngineFacts } from "../../engine/index.ts";
import type { Value } from "../../graph/index.ts";
import type { LayerContext } from "../context.ts";

/** A frozen linear layer. */
export interface FrozenLinear {
  /** Its matrix is `….weight`, `[O, I]`. */
  readonly name: string;
  /** I */
  readonly inWidth: number;
  /** O */
  readonly outWidth: number;
  readonly bias: Value | undefined;
  /** Whether some rows of its input are far larger than others. */
  readonly hasUnevenRows?: boolean;
}

/** One form that the matrix of a linear layer may be held in. */
export interface WeightForm {
  /** Whether the weights hold this layer so. @param has whether there is a weight of a name */
  fits(has: (name: string) => boolean, layer: string): boolean;
  /** `x · Wᵀ + bias`, with its gradient: `[N, I]` → `[N, O]`. */
  product(ctx: LayerContext, x: Value, layer: FrozenLinear): Value;
  /** Whether its gradients are so coarse that cheaper forms of others may go with them. */
  readonly hasCoarseGradients: boolean;
  /** Copies of a matrix in memory where the runtime packs it: 1 where packing takes the place of the file's pages. */
  readonly packedCopies: 1 | 2;
  /** Whether `auto` takes it on an engine. */
  isBestOn(facts: EngineFacts): boolean;
  /** How it is made of a matrix; absent where the matrix stays as the checkpoint has it. */
  readonly stored?: StoredForm;
}

/** Tensors that take the place of a matrix. */
export interface StoredForm {
  /** Name of their layout with its version: changes where the same matrix would become other bytes. */
  layout(facts: EngineFacts): string;
  /**
   * The tensors by what follows the matrix's name; products read all that are listed, so a form that reads it the same
   * way in both directions has one copy. `undefined` where the form does not suit the matrix, which then stays.
   * @param shape of the matrix, `[O, I]`
   */
  tensors(
    shape: readonly [rows: number, columns: number],
    facts: EngineFacts,
  ): Readonly<Record<string, StoredTensor>> | undefined;
}

/** One of these tensors. */
export interface StoredTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Its numbers, of the matrix's in rows. */
  make(matrix: Float32Array): ArrayBufferView;
}
