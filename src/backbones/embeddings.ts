/**
 * Embeddings of BERT and its relatives: words, learnt positions, and segments where there are any, normalised.
 *
 * Legend: B batch, S sequence, P input prompt length (0 where there is none), R = P + S, E hidden size.
 */
import { addDims, type Dim, multiplyDims } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import { dropout, embedding, type LayerContext, layerNorm, linear } from "../nn/index.ts";
import type { Adaptation, BackboneConfig, BackboneInputs, WeightShapes } from "./architecture.ts";

/** The linear layer between embeddings and hidden states of another width. */
const projection = "embeddings_project";

/** Our name of the table of word embeddings, `[V, embeddingSize]`, in every architecture. */
export const wordTable = "embeddings.word_embeddings.weight";

/** Tables of words, positions and segments, where there are any. */
export function tableWeights(config: BackboneConfig, hasPositions: boolean): WeightShapes {
  const { embeddingSize, vocabSize, maxPositions, typeVocabSize } = config;
  return {
    [wordTable]: [vocabSize, embeddingSize],
    ...(hasPositions && { "embeddings.position_embeddings.weight": [maxPositions, embeddingSize] }),
    ...(typeVocabSize > 0 && { "embeddings.token_type_embeddings.weight": [typeVocabSize, embeddingSize] }),
  };
}

/** The weights that {@link embed} reads. */
export function embeddingWeights(config: BackboneConfig, isProjected: boolean): WeightShapes {
  const { embeddingSize, hiddenSize } = config;
  return {
    ...tableWeights(config, true),
    "embeddings.LayerNorm.weight": [embeddingSize],
    "embeddings.LayerNorm.bias": [embeddingSize],
    ...(isProjected && {
      [`${projection}.weight`]: [hiddenSize, embeddingSize],
      [`${projection}.bias`]: [hiddenSize],
    }),
  };
}

/**
 * Embeddings of BERT's kind, of the prompt, if there is one, and of the text: `[R·B, E]`.
 * @param isProjected whether a linear layer takes them to the width of hidden states
 */
export function embed(
  ctx: LayerContext,
  config: BackboneConfig,
  inputs: BackboneInputs,
  adaptation: Adaptation,
  firstPosition: number,
  isProjected: boolean,
): Value {
  const module = (words: Value, types: Value | undefined): Value => {
    const sum = addTables(ctx, config, words, types, firstPosition);
    const normed = layerNorm(ctx, sum, "embeddings.LayerNorm", config.layerNormEpsilon);
    return dropout(ctx, normed, config.hiddenDropout);
  };
  const rows = embedThrough(ctx, config, inputs, adaptation, module);
  return isProjected ? linear(ctx, rows, projection, config.hiddenSize) : rows;
}

/**
 * Sends the words of the text, and vectors in front of them, through an architecture's embedding module.
 * @param module words `[R, B, embeddingSize]` and their segments `[R, B]`, all 0 where they are left out → the same
 *   width, `[R·B, embeddingSize]`
 */
export function embedThrough(
  ctx: LayerContext,
  config: BackboneConfig,
  inputs: BackboneInputs,
  { inputPrompt: prompt, pseudoTokens }: Adaptation,
  module: (words: Value, types: Value | undefined) => Value,
): Value {
  const { b } = ctx;
  const { embeddingSize } = config;
  const [length, batch] = inputs.inputIds.shape as [Dim, Dim];
  return b.scope("embeddings", () => {
    let words = embedWords(ctx, config, inputs.inputIds, pseudoTokens);
    let types: Value | undefined = inputs.tokenTypeIds;
    if (prompt === undefined) return module(words, types);
    if (prompt.embeddingPasses === 2) {
      words = b.reshape(module(words, types), [length, batch, embeddingSize]);
      types = undefined;
    }
    const promptLength = prompt.vectors.shape[0] as number;
    const perExample = [promptLength, batch, embeddingSize];
    const vectors =
      prompt.vectors.shape.length === 3
        ? prompt.vectors
        : b.expand(b.reshape(prompt.vectors, [promptLength, 1, embeddingSize]), perExample);
    const zero = b.op("Cast", [b.scalar(0)], { to: "int32" });
    types &&= b.op("Concat", [b.expand(zero, [promptLength, batch]), types], { axis: 0 });
    return module(b.op("Concat", [vectors, words], { axis: 0 }), types);
  });
}

/** Word embeddings `[S, B, E]`; those of negative ids are rows of `pseudoTokens`: −1 the first. */
function embedWords(
  ctx: LayerContext,
  { vocabSize, embeddingSize }: BackboneConfig,
  ids: Value,
  pseudoTokens: Value | undefined,
): Value {
  const { b } = ctx;
  const words = (of: Value): Value =>
    embedding(ctx, of, "embeddings.word_embeddings", vocabSize, embeddingSize);
  if (pseudoTokens === undefined) return words(ids);
  // Whole numbers up to 2^24 are exact in float32.
  const numbers = b.op("Cast", [ids], { to: "float32" });
  const wordIds = b.op("Relu", [numbers]);
  const rows = b.op("Relu", [b.op("Neg", [numbers])]); // 0 for a word, p for the p-th pseudo-token
  const isWord = b.op("Relu", [b.op("Sub", [b.scalar(1), rows])]);
  const table = b.op("Concat", [b.expand(b.scalar(0), [1, embeddingSize]), pseudoTokens], { axis: 0 });
  const whole = (x: Value): Value => b.op("Cast", [x], { to: "int32" });
  const kept = b.op("Mul", [words(whole(wordIds)), b.reshape(isWord, [...ids.shape, 1])]);
  return b.op("Add", [kept, b.op("Gather", [table, whole(rows)], { axis: 0 })]);
}

/**
 * Words, positions and segments added up: `[R, B, embeddingSize]` → `[R·B, embeddingSize]`. Texts lie at the front of their
 * rows, so every row reads the same stretch of positions; padding behind a text gets positions too, but nothing reads its
 * states.
 *
 * @param types segments `[R, B]`; all 0 where they are left out
 * @param firstPosition left out where embeddings have no positions
 */
export function addTables(
  ctx: LayerContext,
  config: BackboneConfig,
  words: Value,
  types: Value | undefined,
  firstPosition: number | undefined,
): Value {
  const { b } = ctx;
  const { embeddingSize, typeVocabSize, maxPositions } = config;
  const [rows, batch] = words.shape as [Dim, Dim];
  let sum = words;
  if (firstPosition !== undefined) {
    const table = ctx.weight("embeddings.position_embeddings.weight", [maxPositions, embeddingSize]);
    const own = b.slice(table, 0, firstPosition, addDims(rows, firstPosition));
    sum = b.op("Add", [sum, b.reshape(own, [rows, 1, embeddingSize])]);
  }
  if (typeVocabSize > 0) {
    const name = "embeddings.token_type_embeddings";
    const table = ctx.weight(`${name}.weight`, [typeVocabSize, embeddingSize]);
    const isSegmented = typeVocabSize > 1 && types !== undefined;
    const first = typeVocabSize > 1 ? b.slice(table, 0, 0, 1) : table;
    sum = b.op("Add", [sum, isSegmented ? embedding(ctx, types, name, typeVocabSize, embeddingSize) : first]);
  }
  return b.reshape(sum, [multiplyDims(rows, batch), embeddingSize]);
}
