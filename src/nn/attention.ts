/**
 * Legend: B batch, S sequence, Q query positions (S, or 1 where only the first is read), P prompt length,
 * T = P + S, H heads, D head width, E = H·D.
 */
import { type Dim, divideDims } from "../core/index.ts";
import { failGraph, type Value } from "../graph/index.ts";
import type { LayerContext } from "./context.ts";
import { linear } from "./linear.ts";

/** Keys and values in front of the text's own at one layer, each `[P, B, H, D]`. */
export interface LayerPrompt {
  readonly key: Value;
  readonly value: Value;
  /** Added to the attention logits of the prompt's columns, `[H]`; absent where nothing is. */
  readonly bias?: Value;
}

/** Size, dropout and weight names of an attention block. */
export interface AttentionOptions {
  readonly heads: number;
  readonly dropoutRate: number;
  /** Checkpoint names of the three projections. */
  readonly names: { readonly query: string; readonly key: string; readonly value: string };
}

/**
 * Multi-head attention whose keys and values may start with a prompt. Prompt keys and values are used as they
 * are: no projection, no position (P-Tuning v2, section 3; `get_prompt` in the reference implementation).
 *
 * @param queries `[Q·B, E]`
 * @param x `[S·B, E]`
 * @param mask additive, `[B, 1, 1, T]`: 0 where a column may be attended, very negative elsewhere
 * @returns `[Q·B, E]`
 */
export function attention(
  ctx: LayerContext,
  queries: Value,
  x: Value,
  mask: Value,
  prompt: LayerPrompt | undefined,
  { heads, dropoutRate, names }: AttentionOptions,
): Value {
  const { b } = ctx;
  const width = x.shape[1] as number;
  const batch = mask.shape[0]!;
  const split = (rows: Value): Value =>
    b.reshape(rows, [rowsPerExample(rows, batch), batch, heads, width / heads]);
  const query = split(linear(ctx, queries, names.query, width));
  const textKey = split(linear(ctx, x, names.key, width));
  const textValue = split(linear(ctx, x, names.value, width));
  ctx.onKeysAndValues?.(textKey, textValue);
  return b.scope("attention", () => {
    const key = prompt ? b.op("Concat", [prompt.key, textKey], { axis: 0 }) : textKey;
    const value = prompt ? b.op("Concat", [prompt.value, textValue], { axis: 0 }) : textValue;
    // [Q, B, H, D] · [T, B, H, D]ᵀ → [B, H, Q, T]
    const alpha = 1 / Math.sqrt(width / heads);
    const scores = b.op("FusedMatMul", [query, key], { transBatchA: 1, transBatchB: 1, transB: 1, alpha });
    const bias = prompt?.bias ? columnBias(ctx, prompt, prompt.bias, textKey) : undefined;
    const added = bias ? b.op("Add", [mask, bias]) : mask;
    const weights = attentionWeights(ctx, b.op("Add", [scores, added]), dropoutRate);
    const mixed = b.op("FusedMatMul", [weights, value], { transBatchB: 1 });
    return b.reshape(b.op("Transpose", [mixed], { perm: [2, 0, 1, 3] }), queries.shape);
  });
}

/** The bias of prompt columns and 0 for the text's: `[1, H, 1, T]`. */
function columnBias({ b }: LayerContext, { key }: LayerPrompt, bias: Value, textKey: Value): Value {
  const heads = bias.shape[0] as number;
  const prompted = b.expand(b.reshape(bias, [1, heads, 1, 1]), [1, heads, 1, key.shape[0]!]);
  const text = b.expand(b.scalar(0), [1, heads, 1, textKey.shape[0]!]);
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

function rowsPerExample(rows: Value, batch: Dim): Dim {
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
  const text = b.reshape(logits, [batch, 1, 1, length]);
  if (promptLength === 0) return text;
  const open = b.expand(b.scalar(0), [batch, 1, 1, promptLength]);
  return b.op("Concat", [open, text], { axis: -1 });
}
