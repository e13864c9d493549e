/**
 * The post-norm encoder that BERT, RoBERTa and their relatives share: Vaswani et al. 2017, section 3.1, with GELU, and
 * learnt positions. What differs is in {@link EncoderFacts}.
 *
 * Legend: B batch, S sequence, P input prompt length (0 where there is none), T = P + S, Q positions read, E hidden size.
 */
import * as z from "zod";
import { addDims, type Dim, multiplyDims } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import {
  activations,
  attention,
  attentionMask,
  dropout,
  embedding,
  type LayerContext,
  layerNorm,
  linear,
} from "../nn/index.ts";
import type {
  Adaptation,
  Architecture,
  BackboneConfig,
  BackboneInputs,
  InputPrompt,
  RowsRead,
} from "./architecture.ts";
import { limits } from "./limits.ts";
import { type LmHeadFacts, lmHead, lmHeadCheckpointName, lmHeadName } from "./lm-head.ts";
import { parseConfigWith } from "./parse.ts";

const size = z.int().positive();
const width = size.max(limits.hiddenSize);
const rate = z.number().min(0).lt(1);

/** Keys of `config.json`, with the values that transformers assumes where one is missing. */
const schema = (padTokenId: number) =>
  z
    .object({
      model_type: z.string(),
      hidden_size: width,
      num_hidden_layers: size.max(limits.layers),
      num_attention_heads: width,
      intermediate_size: size.max(16 * limits.hiddenSize),
      vocab_size: size.max(limits.vocabulary),
      max_position_embeddings: size.max(limits.positions),
      type_vocab_size: z.int().nonnegative().max(limits.vocabulary).default(2),
      pad_token_id: z.int().nonnegative().default(padTokenId),
      layer_norm_eps: z.number().positive().default(1e-12),
      hidden_act: z.enum(Object.keys(activations)).default("gelu"),
      hidden_dropout_prob: rate.default(0.1),
      attention_probs_dropout_prob: rate.default(0.1),
      initializer_range: z.number().positive().default(0.02),
      tie_word_embeddings: z.boolean().default(true),
      position_embedding_type: z.literal("absolute").default("absolute"),
      is_decoder: z.literal(false).default(false),
    })
    .refine((config) => config.hidden_size % config.num_attention_heads === 0, {
      path: ["num_attention_heads"],
      message: "expected a divisor of hidden_size",
    });

/** In what the architectures of this family differ. */
interface EncoderFacts extends Pick<Architecture, "modelTypes" | "peftModules" | "transformersClasses"> {
  /** What checkpoint names start with where the file holds more than the encoder: `bert.`. */
  readonly prefix: string;
  /** The padding token where `config.json` does not say. */
  readonly padTokenId: number;
  readonly lmHead: LmHeadFacts;
  /** Row of the position table that the first token of a text reads. */
  firstPosition(config: BackboneConfig): number;
}

/** An architecture of this family. */
export function postNormEncoder(facts: EncoderFacts): Architecture {
  return {
    modelTypes: facts.modelTypes,
    transformersClasses: facts.transformersClasses,
    checkpointName: (name) => lmHeadCheckpointName(facts.lmHead, name) ?? `${facts.prefix}${name}`,
    peftModules: facts.peftModules,
    parseConfig(json, where): BackboneConfig {
      const config = parseConfigWith(schema(facts.padTokenId), json, where);
      return {
        modelType: config.model_type,
        hiddenSize: config.hidden_size,
        numLayers: config.num_hidden_layers,
        numHeads: config.num_attention_heads,
        intermediateSize: config.intermediate_size,
        vocabSize: config.vocab_size,
        maxPositions: config.max_position_embeddings,
        typeVocabSize: config.type_vocab_size,
        padTokenId: config.pad_token_id,
        tiesWordEmbeddings: config.tie_word_embeddings,
        layerNormEpsilon: config.layer_norm_eps,
        activation: config.hidden_act,
        hiddenDropout: config.hidden_dropout_prob,
        attentionDropout: config.attention_probs_dropout_prob,
        initializerRange: config.initializer_range,
      };
    },
    weightName(checkpointName) {
      const { prefix } = facts;
      const modern = checkpointName.replace(/\.gamma$/, ".weight").replace(/\.beta$/, ".bias");
      const name = modern.startsWith(prefix) ? modern.slice(prefix.length) : modern;
      if (/^(embeddings|encoder|pooler)\..*\.(weight|bias)$/.test(name)) return name;
      return lmHeadName(facts.lmHead, modern);
    },
    shapes: encoderShapes,
    // The pooler reads one row per text: nothing to gain, so it keeps its precision.
    isLinearWeight: (name) => /^encoder\..*\.(query|key|value|dense)\.weight$/.test(name),
    isKeyBias: (name) => name.endsWith(".attention.self.key.bias"),
    maxLength: (config, positionOffset) => config.maxPositions - facts.firstPosition(config) - positionOffset,
    promptPositionOffset: (promptLength) => promptLength,
    forward(ctx, config, inputs, adaptation, rows, { from, end = config.numLayers } = {}) {
      const firstPosition = facts.firstPosition(config) + adaptation.positionOffset;
      const { inputPrompt } = adaptation;
      const inputLength = inputPrompt ? (inputPrompt.vectors.shape[0] as number) : 0;
      let hidden = from?.hidden ?? embed(ctx, config, inputs, firstPosition, adaptation);
      const masks = new Map<number, Value>();
      for (let layer = from?.layer ?? 0; layer < end; layer++) {
        const x = hidden;
        hidden = ctx.b.checkpoint(() => {
          const prompt = adaptation.layerPrompt(layer);
          const promptLength = inputLength + (prompt ? (prompt.key.shape[0] as number) : 0);
          const mask = masks.get(promptLength) ?? attentionMask(ctx, inputs.attentionMask, promptLength);
          masks.set(promptLength, mask);
          const read = layer === end - 1 ? readRows(ctx, x, inputs, rows, inputPrompt) : x;
          return encoderLayer(ctx, config, `encoder.layer.${layer}`, x, mask, prompt, read);
        });
      }
      // Nothing above a trunk of all layers.
      return from?.layer === end ? readRows(ctx, hidden, inputs, rows, inputPrompt) : hidden;
    },
    lmHead: lmHead(facts.lmHead),
    poolerWeights: ({ hiddenSize }) => ({
      "pooler.dense.weight": [hiddenSize, hiddenSize],
      "pooler.dense.bias": [hiddenSize],
    }),
    pool: (ctx, config, first) => ctx.b.op("Tanh", [linear(ctx, first, "pooler.dense", config.hiddenSize)]),
  };
}

function* encoderShapes(config: BackboneConfig): Generator<readonly [string, readonly number[]]> {
  const { hiddenSize: E, intermediateSize: I, numLayers, vocabSize, maxPositions, typeVocabSize } = config;
  yield ["embeddings.word_embeddings.weight", [vocabSize, E]];
  yield ["embeddings.position_embeddings.weight", [maxPositions, E]];
  if (typeVocabSize > 0) yield ["embeddings.token_type_embeddings.weight", [typeVocabSize, E]];
  for (const part of ["weight", "bias"]) yield [`embeddings.LayerNorm.${part}`, [E]];
  for (let layer = 0; layer < numLayers; layer++) {
    const at = `encoder.layer.${layer}`;
    const linears = [
      ...["query", "key", "value"].map((name) => [`${at}.attention.self.${name}`, E, E] as const),
      [`${at}.attention.output.dense`, E, E] as const,
      [`${at}.intermediate.dense`, I, E] as const,
      [`${at}.output.dense`, E, I] as const,
    ];
    for (const [name, out, inputs] of linears) {
      yield [`${name}.weight`, [out, inputs]];
      yield [`${name}.bias`, [out]];
    }
    for (const norm of ["attention.output", "output"])
      for (const part of ["weight", "bias"]) yield [`${at}.${norm}.LayerNorm.${part}`, [E]];
  }
}

/** The rows of the last layer that heads get, of all `[T·B, E]`. */
function readRows(
  { b }: LayerContext,
  x: Value,
  { inputIds, markedRows }: BackboneInputs,
  rows: RowsRead,
  prompt: InputPrompt | undefined,
): Value {
  const [length, batch] = inputIds.shape as [Dim, Dim];
  const promptLength = prompt ? (prompt.vectors.shape[0] as number) : 0;
  if (typeof rows === "object") {
    const marked = b.op("Cast", [b.reshape(markedRows!, [multiplyDims(rows.marked, batch)])], {
      to: "int64",
    });
    if (promptLength === 0) return b.op("Gather", [x, marked], { axis: 0 });
    const behindPrompt = b.op("Add", [marked, b.dims([multiplyDims(promptLength, batch)])]);
    return b.op("Gather", [x, behindPrompt], { axis: 0 });
  }
  const [first, count]: [number, Dim] =
    rows === "first" ? [prompt?.firstRow ?? 0, 1] : [promptLength, length];
  if (rows === "all" && promptLength === 0) return x;
  return b.slice(x, 0, multiplyDims(first, batch), multiplyDims(addDims(first, count), batch));
}

/** Embeddings of the prompt, if there is one, and of the text: `[T·B, E]`. */
function embed(
  ctx: LayerContext,
  config: BackboneConfig,
  inputs: BackboneInputs,
  firstPosition: number,
  { inputPrompt: prompt, pseudoTokens }: Adaptation,
): Value {
  const { b } = ctx;
  const { hiddenSize } = config;
  const [length, batch] = inputs.inputIds.shape as [Dim, Dim];
  return b.scope("embeddings", () => {
    let words = embedWords(ctx, config, inputs.inputIds, pseudoTokens);
    let types: Value | undefined = inputs.tokenTypeIds;
    if (prompt === undefined) return embeddingModule(ctx, config, words, types, firstPosition);
    if (prompt.embeddingPasses === 2) {
      const embedded = embeddingModule(ctx, config, words, types, firstPosition);
      words = b.reshape(embedded, [length, batch, hiddenSize]);
      types = undefined;
    }
    const [promptLength] = prompt.vectors.shape as [number, number];
    const vectors = b.expand(b.reshape(prompt.vectors, [promptLength, 1, hiddenSize]), [
      promptLength,
      batch,
      hiddenSize,
    ]);
    const zero = b.op("Cast", [b.scalar(0)], { to: "int32" });
    types &&= b.op("Concat", [b.expand(zero, [promptLength, batch]), types], { axis: 0 });
    return embeddingModule(ctx, config, b.op("Concat", [vectors, words], { axis: 0 }), types, firstPosition);
  });
}

/** Word embeddings `[S, B, E]`; those of negative ids are rows of `pseudoTokens`: −1 the first. */
function embedWords(
  ctx: LayerContext,
  { vocabSize, hiddenSize }: BackboneConfig,
  ids: Value,
  pseudoTokens: Value | undefined,
): Value {
  const { b } = ctx;
  const words = (of: Value): Value => embedding(ctx, of, "embeddings.word_embeddings", vocabSize, hiddenSize);
  if (pseudoTokens === undefined) return words(ids);
  // Whole numbers up to 2^24 are exact in float32.
  const numbers = b.op("Cast", [ids], { to: "float32" });
  const wordIds = b.op("Relu", [numbers]);
  const rows = b.op("Relu", [b.op("Neg", [numbers])]); // 0 for a word, p for the p-th pseudo-token
  const isWord = b.op("Relu", [b.op("Sub", [b.scalar(1), rows])]);
  const table = b.op("Concat", [b.expand(b.scalar(0), [1, hiddenSize]), pseudoTokens], { axis: 0 });
  const whole = (x: Value): Value => b.op("Cast", [x], { to: "int32" });
  const kept = b.op("Mul", [words(whole(wordIds)), b.reshape(isWord, [...ids.shape, 1])]);
  return b.op("Add", [kept, b.op("Gather", [table, whole(rows)], { axis: 0 })]);
}

/**
 * Token + segment + position, normalised: `[T, B, E]` → `[T·B, E]`. Texts lie at the front of their rows, so every row
 * reads the same stretch of positions; padding behind a text gets positions too, but nothing reads its states.
 *
 * @param types segments `[T, B]`; all 0 where they are left out
 */
function embeddingModule(
  ctx: LayerContext,
  config: BackboneConfig,
  words: Value,
  types: Value | undefined,
  firstPosition: number,
): Value {
  const { b } = ctx;
  const { hiddenSize, typeVocabSize, maxPositions } = config;
  const [length, batch] = words.shape as [Dim, Dim];
  const position = b.op("Slice", [
    ctx.weight("embeddings.position_embeddings.weight", [maxPositions, hiddenSize]),
    b.dims([firstPosition]),
    b.op("Add", [b.dims([length]), b.integers([firstPosition])]),
    b.integers([0]),
  ]);
  let sum = b.op("Add", [words, b.reshape(position, [length, 1, hiddenSize])]);
  if (typeVocabSize > 0) {
    const name = "embeddings.token_type_embeddings";
    const table = ctx.weight(`${name}.weight`, [typeVocabSize, hiddenSize]);
    const isSegmented = typeVocabSize > 1 && types !== undefined;
    const first = typeVocabSize > 1 ? b.slice(table, 0, 0, 1) : table;
    sum = b.op("Add", [sum, isSegmented ? embedding(ctx, types, name, typeVocabSize, hiddenSize) : first]);
  }
  const rows = b.reshape(sum, [multiplyDims(length, batch), hiddenSize]);
  return dropout(
    ctx,
    layerNorm(ctx, rows, "embeddings.LayerNorm", config.layerNormEpsilon),
    config.hiddenDropout,
  );
}

function encoderLayer(
  ctx: LayerContext,
  config: BackboneConfig,
  name: string,
  x: Value,
  mask: Value,
  prompt: ReturnType<Adaptation["layerPrompt"]>,
  read: Value,
): Value {
  const { b } = ctx;
  const { hiddenSize, hiddenDropout, layerNormEpsilon } = config;
  return b.scope(name, () => {
    const addAndNormalise = (update: Value, residual: Value, part: string): Value => {
      const dense = linear(ctx, update, `${name}.${part}.dense`, hiddenSize);
      const sum = b.op("Add", [dropout(ctx, dense, hiddenDropout), residual]);
      return layerNorm(ctx, sum, `${name}.${part}.LayerNorm`, layerNormEpsilon);
    };
    const mixed = attention(ctx, read, x, mask, prompt, {
      heads: config.numHeads,
      dropoutRate: config.attentionDropout,
      names: {
        query: `${name}.attention.self.query`,
        key: `${name}.attention.self.key`,
        value: `${name}.attention.self.value`,
      },
    });
    const attended = addAndNormalise(mixed, read, "attention.output");
    const wide = linear(ctx, attended, `${name}.intermediate.dense`, config.intermediateSize);
    return addAndNormalise(activations[config.activation]!(ctx, wide), attended, "output");
  });
}
