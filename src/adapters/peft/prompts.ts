/** Prompts in the terms of PEFT: `PrefixTuningConfig`, `PromptTuningConfig`, `PromptEncoderConfig`. */
import * as z from "zod";
import { limits } from "../../backbones/portable.ts";
import {
  type DeepPromptOptions,
  deepPrompt,
  type Method,
  type PromptTuningOptions,
  promptEmbeddings,
  promptInput,
  promptLength,
  promptTuning,
  resolvePromptLayers,
} from "../../methods/index.ts";
import type { PeftMapping, PeftReader, PeftSizes } from "./mapping.ts";
import { listedNames } from "./names.ts";

interface PromptConfig {
  readonly num_virtual_tokens: number;
  readonly num_layers: number;
  readonly num_attention_heads: number;
  readonly token_dim: number;
}

const count = z.int().positive();

const promptConfig: z.ZodType<PromptConfig> = z.object({
  num_virtual_tokens: promptLength,
  num_layers: count.max(limits.layers),
  num_attention_heads: count.max(limits.hiddenSize),
  token_dim: count.max(limits.hiddenSize),
});

function configOf(length: number, { hiddenSize, numLayers, numHeads }: PeftSizes): PromptConfig {
  return {
    num_virtual_tokens: length,
    token_dim: hiddenSize,
    num_layers: numLayers,
    num_attention_heads: numHeads,
  };
}

/** Reads prompts; what a network made is saved there as a plain one. */
function promptReader(create: (length: number) => Method): PeftReader {
  return {
    config: promptConfig,
    read: (config: PromptConfig) => ({
      method: create(config.num_virtual_tokens),
      sizes: {
        hiddenSize: config.token_dim,
        numLayers: config.num_layers,
        numHeads: config.num_attention_heads,
      },
    }),
  };
}

export const peftDeepPrompt: PeftMapping = {
  write(options: Required<DeepPromptOptions>, sizes) {
    if (resolvePromptLayers(options.promptLayers, sizes.numLayers).length < sizes.numLayers) {
      return { reason: "PEFT puts prompts on all layers; no prompt key leaves a layer unchanged" };
    }
    if (options.gate) return { reason: "PEFT has no bias on attention to the prompt" };
    if (!options.positionOffset) return { reason: "PEFT always starts the text behind the prompt" };
    return {
      peftType: "PREFIX_TUNING",
      config: () => ({
        ...configOf(options.promptLength, sizes),
        num_transformer_submodules: 1,
        encoder_hidden_size: sizes.hiddenSize,
        prefix_projection: false,
      }),
      names: listedNames({ [promptEmbeddings]: "prompt_embeddings" }),
    };
  },
  read: { PREFIX_TUNING: promptReader((length) => deepPrompt({ preset: "peft", promptLength: length })) },
};

const inputPromptReader = promptReader((length) => promptTuning({ preset: "peft", promptLength: length }));

export const peftPromptTuning: PeftMapping = {
  write(options: Required<PromptTuningOptions>, sizes) {
    if (options.placement !== "front") return { reason: "PEFT puts prompts in front of the text" };
    if (options.embeddingPasses !== 1) return { reason: "PEFT embeds texts once" };
    if (options.pooledRow !== 0) {
      return { reason: "PEFT pools the first virtual token, this adapter the first token of the text" };
    }
    return {
      peftType: "PROMPT_TUNING",
      taskTypes: ["SEQ_CLS"],
      config: () => ({
        ...configOf(options.promptLength, sizes),
        num_transformer_submodules: 1,
        prompt_tuning_init: "RANDOM",
        prompt_tuning_init_text: null,
        tokenizer_name_or_path: null,
      }),
      names: listedNames({ [promptInput]: "prompt_embeddings" }),
    };
  },
  // What the network of P-tuning made is saved as a plain prompt.
  read: { PROMPT_TUNING: inputPromptReader, P_TUNING: inputPromptReader },
};
