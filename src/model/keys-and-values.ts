/** Legend: B batch, S sequence, L layers, E hidden size, N tokens. */
import { countWhile, int32s, type Tensor } from "../core/index.ts";
import type { Engine } from "../engine/index.ts";
import { padBatch, type TokenSequences, tokenCount } from "../text/portable.ts";
import { keysAndValuesGraph, keysAndValuesOutput } from "./graphs.ts";
import { batchFeeds, type ModelParts, wantedRows } from "./model.ts";

/** Texts of one pass. */
const passTexts = 32;

/**
 * What attention sees of some tokens before anything is trained: key and value of each layer in turn, `[N, 2·L·E]`.
 * @param tokens places in `sequences.ids`
 */
export async function keysAndValues(
  parts: ModelParts,
  engine: Engine,
  sequences: TokenSequences,
  tokens: readonly number[],
): Promise<Tensor<"float32">> {
  const { numLayers, keyWidth, padTokenId } = parts.backbone.config;
  const width = 2 * numLayers * keyWidth;
  const data = new Float32Array(tokens.length * width);
  const bySequence = new Map<number, number[]>();
  for (const [i, token] of tokens.entries()) {
    const text = sequenceOf(sequences, token);
    bySequence.set(text, [...(bySequence.get(text) ?? []), i]);
  }
  const texts = [...bySequence.keys()].sort((a, b) => tokenCount(sequences, a) - tokenCount(sequences, b));
  await using session = await engine.compile(keysAndValuesGraph(parts));
  for (let start = 0; start < texts.length; start += passTexts) {
    const rows = texts.slice(start, start + passTexts);
    const wanted = rows.flatMap((text, b) => bySequence.get(text)!.map((i) => ({ i, text, b })));
    const places = wanted.map(({ i, text, b }) => (tokens[i]! - sequences.starts[text]!) * rows.length + b);
    const { [keysAndValuesOutput]: found } = await session.run({
      ...batchFeeds(padBatch(sequences, rows, padTokenId)),
      [wantedRows]: int32s([places.length], places),
    });
    for (const [row, { i }] of wanted.entries()) {
      data.set((found!.data as Float32Array).subarray(row * width, (row + 1) * width), i * width);
    }
  }
  return { dtype: "float32", shape: [tokens.length, width], data };
}

/** The sequence that a token belongs to. */
function sequenceOf({ starts }: TokenSequences, token: number): number {
  return countWhile(starts.length - 1, (i) => starts[i]! <= token) - 1;
}
