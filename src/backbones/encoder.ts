/**
 * What every encoder does whatever its layers compute: input prompts, checkpointed layers, stretches of them, and the
 * rows that a head reads. An architecture is this and its {@link EncoderParts}.
 *
 * Legend: B batch, S sequence, P input prompt length (0 where there is none), R = P + S, E hidden size.
 */
import { addDims, type Dim, multiplyDims } from "../core/index.ts";
import { failGraph, type Value } from "../graph/index.ts";
import { attentionMask, type LayerContext, type LayerPrompt, type WantedRows } from "../nn/index.ts";
import type {
  Adaptation,
  Architecture,
  BackboneConfig,
  BackboneInputs,
  InputPrompt,
  RowsRead,
} from "./architecture.ts";
import type { LmHead } from "./lm-head.ts";

/** What a layer gets. */
export interface LayerInput {
  /** `[R·B, E]` */
  readonly x: Value;
  readonly prompt: LayerPrompt | undefined;
  /** Additive, `[B, 1, 1, T]` or `[B, H, R, T]`; see `attention`. */
  readonly mask: Value;
  /** Rows of the result; absent where all are. */
  readonly wanted?: WantedRows;
}

/** Writes one application of a layer, 0-based: `[R·B, E]`, or the wanted rows. */
type WriteLayer = (layer: number, input: LayerInput) => Value;

/** Everything of an architecture but the frame around its layers. */
export interface EncoderParts<C extends BackboneConfig> extends Omit<Architecture<C>, "forward"> {
  /** Embeddings of the input prompt, if there is one, and of the text: `[R·B, E]`. */
  embed(ctx: LayerContext, config: C, inputs: BackboneInputs, adaptation: Adaptation): Value;
  /** Starts the layers of a pass; what they share is written once. */
  layers(ctx: LayerContext, config: C, inputs: BackboneInputs): WriteLayer;
  /** Additive mask beside a prompt of this many columns; left out, padding is masked and nothing else. */
  mask?(ctx: LayerContext, config: C, inputs: BackboneInputs, columns: PromptColumns): Value;
  /** Behind the last layer. */
  finish?(ctx: LayerContext, config: C, hidden: Value): Value;
}

/** Columns in front of the text's own. */
export interface PromptColumns {
  /** Of a deep prompt: no rows belong to them. */
  readonly deep: number;
  /** Of an input prompt: its rows. */
  readonly input: number;
}

/** An architecture of these parts. */
export function encoder<C extends BackboneConfig>(parts: EncoderParts<C>): Architecture<C> {
  const { embed, layers, mask: ownMask, finish, ...rest } = parts;
  return {
    ...rest,
    forward(ctx, config, inputs, adaptation, rows, { from, end = config.numLayers } = {}) {
      const { inputPrompt } = adaptation;
      const input = inputPrompt ? (inputPrompt.vectors.shape[0] as number) : 0;
      let hidden = from?.hidden ?? embed(ctx, config, inputs, adaptation);
      const writeLayer = layers(ctx, config, inputs);
      const wanted = wantedRows(ctx, inputs, rows, inputPrompt, parts.lmHead);
      const masks = new Map<number, Value>();
      const maskOf = (deep: number): Value => {
        const known =
          masks.get(deep) ??
          ownMask?.(ctx, config, inputs, { deep, input }) ??
          attentionMask(ctx, inputs.attentionMask, deep + input);
        masks.set(deep, known);
        return known;
      };
      const tell = (states: Value): void => ctx.onStates?.(wanted ? wanted.take(states) : states);
      if (from === undefined && end > 0) tell(hidden);
      for (let layer = from?.layer ?? 0; layer < end; layer++) {
        const x = hidden;
        hidden = ctx.b.checkpoint(() => {
          const prompt = adaptation.layerPrompt(layer);
          const mask = maskOf(prompt ? (prompt.key.shape[0] as number) : 0);
          return writeLayer(layer, { x, prompt, mask, ...(layer === end - 1 && wanted && { wanted }) });
        });
        if (layer < end - 1) tell(hidden);
      }
      // Nothing above a trunk of all layers.
      if (from?.layer === end && wanted) hidden = wanted.take(hidden);
      const last = end === config.numLayers ? (finish?.(ctx, config, hidden) ?? hidden) : hidden;
      ctx.onStates?.(last);
      return last;
    },
  };
}

/** The rows that heads get, of all `[R·B, E]`; `undefined` for all. */
function wantedRows(
  { b }: LayerContext,
  { inputIds, markedRows }: BackboneInputs,
  rows: RowsRead,
  prompt: InputPrompt | undefined,
  { answers }: LmHead,
): WantedRows | undefined {
  const [length, batch] = inputIds.shape as [Dim, Dim];
  const promptLength = prompt ? (prompt.vectors.shape[0] as number) : 0;
  const stretch = (x: Value, first: number, count: Dim): Value =>
    b.slice(x, 0, multiplyDims(first, batch), multiplyDims(addDims(first, count), batch));
  if (rows === "first") {
    const position = prompt?.firstRow ?? 0;
    return { position, take: (x) => stretch(x, position, 1) };
  }
  if (rows === "all") {
    return promptLength === 0 ? undefined : { take: (x) => stretch(x, promptLength, length) };
  }
  if ("gaps" in rows && answers === "first") {
    if (rows.gaps !== 1) failGraph("gaps", `expected one in each text, got ${rows.gaps}.`);
    return { position: promptLength, take: (x) => stretch(x, promptLength, 1) };
  }
  const count = "gaps" in rows ? rows.gaps : rows.marked;
  return {
    take(x) {
      const marked = b.op("Cast", [b.reshape(markedRows!, [multiplyDims(count, batch)])], {
        to: "int64",
      });
      if (promptLength === 0) return b.op("Gather", [x, marked], { axis: 0 });
      const behindPrompt = b.op("Add", [marked, b.dims([multiplyDims(promptLength, batch)])]);
      return b.op("Gather", [x, behindPrompt], { axis: 0 });
    },
  };
}
