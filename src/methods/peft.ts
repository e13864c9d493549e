import * as z from "zod";
import { type Architecture, limits } from "../backbones/portable.ts";
import type { Method } from "./method.ts";
import { count, promptLength } from "./settings.ts";

/** Our names of tensors and PEFT's, each from the other; `undefined` for a tensor of something else. */
export interface PeftNames {
  toPeft(ours: string): string | undefined;
  fromPeft(theirs: string): string | undefined;
}

/** Names that stand in a list: ours → PEFT's. */
export function listedNames(names: Readonly<Record<string, string>>): PeftNames {
  const [forth, back] = [new Map(Object.entries(names)), new Map<string, string>()];
  for (const [ours, theirs] of forth) back.set(theirs, ours);
  return { toPeft: (name) => forth.get(name), fromPeft: (name) => back.get(name) };
}

/** How adapters that PEFT saved are read, for one `peft_type`. */
export interface PeftReader {
  /** Keys of `adapter_config.json`. */
  readonly config: z.ZodType;
  /**
   * @param config what {@link PeftReader.config} gives @param names of the tensors beside it
   * @throws OPTION_INVALID naming the key that asks for something else than we compute
   */
  read(config: never, names: readonly string[]): PeftAdapter;
}

/** What an adapter of PEFT says. */
export interface PeftAdapter {
  readonly method: Method;
  /** Of the backbone, where the files say; 0 where they do not. */
  readonly sizes: { readonly hiddenSize: number; readonly numLayers: number; readonly numHeads: number };
  /** Whether the adapter may be for an architecture; left out, it may be for any. */
  isFor?(architecture: Architecture): boolean;
}

interface PromptConfig {
  readonly num_virtual_tokens: number;
  readonly num_layers: number;
  readonly num_attention_heads: number;
  readonly token_dim: number;
}

const promptConfig: z.ZodType<PromptConfig> = z.object({
  num_virtual_tokens: promptLength,
  num_layers: count.max(limits.layers),
  num_attention_heads: count.max(limits.hiddenSize),
  token_dim: count.max(limits.hiddenSize),
});

/** Reads prompts; what a network made is saved there as a plain one. */
export function promptReader(create: (promptLength: number) => Method): PeftReader {
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
