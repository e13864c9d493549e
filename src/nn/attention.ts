/**
 * Legend: B batch, S sequence, Q query positions (S, or 1 where only the first is read), P prompt length,
 * T = P + S, H heads, D head width, E = H·D.
 */
import { type Dim, divideDims } from "../core/index.ts";
import { failGraph, type GraphBuilder, type Value } from "../graph/index.ts";
import type { LayerContext } from "./context.ts";

/** Keys and values in front of the text's own at one layer, each `[P, B, H, D]`. */
export interface LayerPrompt {
  readonly key: Value;
  readonly value: Value;
  /** Added to the attention logits of the prompt's columns, `[H]`, or `[B, H]`; absent where nothing is. */
  readonly bias?: Value;
}

/** Rows of a layer's output that something reads, where it does not read all. */
export interface WantedRows {
  /** `[S·B, E]` → the wanted rows */
  take(x: Value): Value;
  /** Their position, where it is one and the same in all texts. */
  readonly position?: number;
}

/** Queries of some rows, keys and values of all, `[…, E]` each. */
export interface Projected {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

/** What an attention block computes with. */
export interface AttentionOptions {
  readonly heads: number;
  readonly dropoutRate: number;
  /** @param queries rows whose queries are wanted @param x all rows, `[S·B, E]` */
  project(queries: Value, x: Value): Projected;
  /** Factor of query times key. Default 1 / √D. */
  readonly scale?: number;
  /** Where attention depends on positions otherwise than by its mask. */
  readonly positions?: AttentionPositions;
}

/** How positions of the text enter attention. Columns of a deep prompt have none. */
export interface AttentionPositions {
  /** Turns queries or keys `[N, B, H, D]`; @param position of the one row there is, where it is one of several */
  rotate?(x: Value, position?: number): Value;
  /** Adds to the logits of the text's columns: `[B, H, Q, S]`. */
  logits?(query: Value, key: Value, position?: number): Value;
}

/**
 * Multi-head attention whose keys and values may start with a prompt. Prompt keys and values are used as they
 * are: no projection, no position (P-Tuning v2, section 3; `get_prompt` in the reference implementation).
 *
 * @param x `[S·B, E]`
 * @param mask additive, `[B, 1, 1, T]`, or `[B, H, S, T]` where it depends on head and query: 0 where a column may be
 *   attended, very negative elsewhere
 * @param wanted rows of the result; left out, all
 * @returns `[Q·B, E]`
 */
export function attention(
  ctx: LayerContext,
  x: Value,
  mask: Value,
  prompt: LayerPrompt | undefined,
  options: AttentionOptions,
  wanted?: WantedRows,
): Value {
  const { b } = ctx;
  const { positions } = options;
  // Rows at positions of their own cannot leave the others before attention has seen where they are.
  const isPositional = positions !== undefined || mask.shape[2] !== 1;
  if (wanted === undefined || (isPositional && wanted.position === undefined)) {
    const mixed = attend(ctx, x, x, mask, prompt, options);
    return wanted ? wanted.take(mixed) : mixed;
  }
  const { position } = wanted;
  const seen = mask.shape[2] === 1 ? mask : b.slice(mask, 2, position!, position! + 1);
  return attend(ctx, wanted.take(x), x, seen, prompt, options, position);
}

function attend(
  ctx: LayerContext,
  queries: Value,
  x: Value,
  mask: Value,
  prompt: LayerPrompt | undefined,
  { heads, dropoutRate, project, positions = {}, scale }: AttentionOptions,
  position?: number,
): Value {
  const { b } = ctx;
  const batch = mask.shape[0]!;
  const split = (rows: Value): Value =>
    b.reshape(rows, [rowsPerExample(rows, batch), batch, heads, (rows.shape[1] as number) / heads]);
  const projected = project(queries, x);
  const [unturnedQuery, unturnedKey] = [split(projected.query), split(projected.key)];
  const textValue = split(projected.value);
  ctx.onKeysAndValues?.(unturnedKey, textValue);
  return b.scope("attention", () => {
    const query = positions.rotate?.(unturnedQuery, position) ?? unturnedQuery;
    const textKey = positions.rotate?.(unturnedKey) ?? unturnedKey;
    const key = prompt ? b.op("Concat", [prompt.key, textKey], { axis: 0 }) : textKey;
    const value = prompt ? b.op("Concat", [prompt.value, textValue], { axis: 0 }) : textValue;
    // [Q, B, H, D] · [T, B, H, D]ᵀ → [B, H, Q, T]
    const alpha = scale ?? 1 / Math.sqrt(query.shape[3] as number);
    const scores = b.op("FusedMatMul", [query, key], { transBatchA: 1, transBatchB: 1, transB: 1, alpha });
    const relative = positions.logits?.(query, textKey, position);
    const placed = relative
      ? b.op("Add", [scores, behindColumns(b, relative, (prompt?.key.shape[0] as number | undefined) ?? 0)])
      : scores;
    const bias = prompt?.bias ? columnBias(ctx, prompt, prompt.bias, textKey) : undefined;
    const added = bias ? b.op("Add", [mask, bias]) : mask;
    const weights = attentionWeights(ctx, b.op("Add", [placed, added]), dropoutRate);
    const mixed = b.op("FusedMatMul", [weights, value], { transBatchB: 1 });
    const rows = b.op("Transpose", [mixed], { perm: [2, 0, 1, 3] });
    return b.reshape(rows, [queries.shape[0]!, projected.value.shape[1]!]);
  });
}

/** Logits of the text's columns with 0 for those of a prompt in front: `[…, S]` → `[…, T]`. */
export function behindColumns(b: GraphBuilder, logits: Value, columns: number): Value {
  if (columns === 0) return logits;
  const open = b.expand(b.scalar(0), [...logits.shape.slice(0, -1), columns]);
  return b.op("Concat", [open, logits], { axis: -1 });
}

/** The bias of prompt columns and 0 for the text's: `[1, H, 1, T]`, or `[B, H, 1, T]`. */
function columnBias({ b }: LayerContext, { key }: LayerPrompt, bias: Value, textKey: Value): Value {
  const [batch, heads] = bias.shape.length === 1 ? [1, bias.shape[0]!] : (bias.shape as [Dim, Dim]);
  const prompted = b.expand(b.reshape(bias, [batch, heads, 1, 1]), [batch, heads, 1, key.shape[0]!]);
  const text = b.expand(b.scalar(0), [batch, heads, 1, textKey.shape[0]!]);
  return b.op("Concat", [prompted, text], { axis: -1 });
}

/**
 * Dropout of a softmax, d = m ∘ y. Its gradient d ∘ g − y · Σ d ∘ g needs no mask: one that is kept would be as
 * large as the weights.
 */
function attentionWeights({ b, dropout }: LayerContext, logits: Value, rate: number): Value {
  const site = dropout?.site(logits.shape, rate);
  const softmax = (): Value => b.op("Softmax", [logits], { axis: -1 });
  if (site === undefined) return softmax();
  return b.withGradient(
    [logits],
    () => {
      const y = softmax();
      return [b.scope(site.name, () => b.op("Mul", [y, site.mask(site.start, y)])), y];
    },
    (grad, _, { output, saved: [y] }) => {
      const pulled = b.op("Mul", [output, grad]);
      return [b.op("Sub", [pulled, b.op("Mul", [y, b.sum(pulled, [-1], 1)])])];
    },
  );
}

/** S of `[S·B, E]`. */
export function rowsPerExample(rows: Value, batch: Dim): Dim {
  return divideDims(rows.shape[0]!, batch) ?? failGraph(rows.name, `expected a multiple of ${batch} rows.`);
}

/** Value that an additive mask puts on padding; its exponential is 0 in float32 and float64. */
export const maskedLogit = -10_000;

/**
 * Additive attention mask `[B, 1, 1, P + S]` from a 1/0 padding mask `[S, B]`; the P prompt columns are open.
 */
export function attentionMask(ctx: LayerContext, padding: Value, promptLength: number): Value {
  const { b } = ctx;
  const [length, batch] = padding.shape as [Dim, Dim];
  const kept = b.op("Cast", [b.op("Transpose", [padding], { perm: [1, 0] })], { to: "float32" });
  const logits = b.op("Mul", [b.op("Sub", [b.scalar(1), kept]), b.scalar(maskedLogit)]);
  return behindColumns(b, b.reshape(logits, [batch, 1, 1, length]), promptLength);
}
