/**
 * Prompt tuning (Lester et al. 2021, arXiv 2104.08691): trainable vectors in front of the text's word embeddings.
 *
 * Legend: P prompt length, E hidden size, V vocabulary.
 */
import * as z from "zod";
import { wordTable } from "../backbones/portable.ts";
import { PtuningError, type Tensor } from "../core/index.ts";
import type { MethodFamily } from "./family.ts";
import {
  type InputPrompt,
  type InputPromptOptions,
  inputPlace,
  inputPrompt,
  inputPromptSettings,
  resolveInputPrompt,
} from "./input-prompt.ts";
import type { Method, MixedMethod, Parameter, StartingPoint } from "./method.ts";
import { normal, uniform } from "./starts.ts";

/**
 * What a prompt starts from: numbers drawn `normal` or `uniform`ly, word embeddings drawn from the `vocabulary`, or
 * the words of the class `labels`, with word embeddings behind them.
 */
export type PromptInit = "normal" | "uniform" | "vocabulary" | "labels";

/** Settings of prompt tuning; see {@link promptTuning}. */
export interface PromptTuningOptions extends InputPromptOptions {
  /** Default `vocabulary`. */
  readonly init?: PromptInit;
  /** Standard deviation of `normal`, or bound of `uniform`; default 0.5, the bound in the paper. */
  readonly initScale?: number;
}

/** The one tensor of an input prompt, `[P, E]`. */
export const promptInput = "prompt.input";

/** The paper samples from the 5000 most common words, which come first in its vocabulary. */
const sampledVocabulary = 5000;

const presets = {
  /** The PT baseline of the P-Tuning v2 code. */
  thudm: { init: "normal", initScale: 0.02 },
  peft: { init: "normal", initScale: 1 },
} as const;

/**
 * Prompt tuning. Fewest parameters of all prompts; the text starts at position P.
 *
 * @throws OPTION_INVALID naming the option
 * @example
 * promptTuning({ promptLength: 8, init: "labels" }).options.pooledRow; // "text"
 */
export function promptTuning(options: PromptTuningOptions = {}): Method {
  const { init, initScale, ...shared } = options;
  const preset = options.preset && presets[options.preset];
  const resolved = {
    ...resolveInputPrompt(shared),
    init: init ?? preset?.init ?? "vocabulary",
    initScale: initScale ?? preset?.initScale ?? 0.5,
  };
  const start = Object.hasOwn(starts, resolved.init) ? starts[resolved.init] : undefined;
  if (start === undefined) {
    const names = Object.keys(starts).join(", ");
    throw new PtuningError("OPTION_INVALID", `init: expected one of ${names}, got "${resolved.init}".`);
  }
  if (!(resolved.initScale >= 0)) {
    throw new PtuningError(
      "OPTION_INVALID",
      `initScale: expected a number of at least 0, got ${resolved.initScale}.`,
    );
  }
  const { promptLength } = resolved;
  const method: Method = {
    name: "prompt-tuning",
    options: resolved,
    defaults: { learningRate: 3e-2 },
    parameters: ({ embeddingSize }) => ({
      [promptInput]: { ...start([promptLength, embeddingSize], resolved.initScale), hasPromptRows: true },
    }),
    decays: "all",
    savedAs: "adapter",
    ...inputPlace(resolved),
    build: (_, __, params) => inputPrompt(params[promptInput]!, resolved),
    ...(resolved.placement === "front" && { mixed: mixedPrompt(resolved) }),
    get deployed() {
      return method;
    },
  };
  return method;
}

/** Prompts of one length side by side. Pseudo-tokens inside of texts are looked up in one table, and cannot. */
function mixedPrompt(options: InputPrompt): MixedMethod {
  const { promptLength, pooledRow, embeddingPasses } = options;
  return {
    key: `input ${promptLength} ${pooledRow} ${embeddingPasses}`,
    build: (_, { embeddingSize }, params) =>
      inputPrompt(params.columns(promptInput, 0, embeddingSize), options),
  };
}

const starts: {
  readonly [I in PromptInit]: (shape: readonly [number, number], scale: number) => Parameter;
} = {
  normal,
  uniform,
  vocabulary: (shape) => ({ shape, start: (from) => fromWords(shape, from, []) }),
  labels: (shape) => ({
    shape,
    async start(from) {
      if (from.labels.length === 0) {
        throw new PtuningError("OPTION_INVALID", "init: expected a task with labels for labels, got none.", {
          hint: "Choose init vocabulary.",
        });
      }
      const { ids, starts: ends } = await from.tokenizer.encode(from.labels, 512);
      // The special tokens around a text are no words.
      return fromWords(
        shape,
        from,
        from.labels.map((_, i) => [...ids.subarray(ends[i]! + 1, ends[i + 1]! - 1)]),
      );
    },
  }),
};

/** Rows of word embeddings: first the mean over each given word's pieces, then sampled ones without repeats. */
async function fromWords(
  shape: readonly [number, number],
  { rng, readWeight, config }: StartingPoint,
  words: readonly (readonly number[])[],
): Promise<Tensor<"float32">> {
  const [length, width] = shape;
  const table = (await readWeight(wordTable)).data;
  const pool = Array.from({ length: Math.min(sampledVocabulary, config.vocabSize) }, (_, id) => id);
  const sampled = rng.shuffle(pool);
  const data = new Float32Array(length * width);
  for (let row = 0; row < length; row++) {
    const word = words[row];
    const pieces = word && word.length > 0 ? word : [sampled[row % sampled.length]!];
    for (const id of pieces) {
      for (let i = 0; i < width; i++) data[row * width + i]! += table[id * width + i]! / pieces.length;
    }
  }
  return { dtype: "float32", shape, data };
}

/** As configurations and adapters name it. */
export const promptTuningFamily: MethodFamily = {
  name: "prompt-tuning",
  settings: z.strictObject({
    ...inputPromptSettings,
    init: z
      .enum(["normal", "uniform", "vocabulary", "labels"])
      .exactOptional()
      .describe("numbers, sampled word embeddings, or the words of the labels"),
    initScale: z
      .number()
      .nonnegative()
      .exactOptional()
      .describe("standard deviation of normal, bound of uniform"),
  }),
  create: (options) => promptTuning(options as PromptTuningOptions),
};
