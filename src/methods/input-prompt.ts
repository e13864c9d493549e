import * as z from "zod";
import type { Adaptation } from "../backbones/index.ts";
import { PtuningError } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import { type Method, untouched } from "./method.ts";
import { promptLength } from "./settings.ts";

/** Settings of every prompt that stands in front of the word embeddings. */
export interface InputPromptOptions {
  /**
   * Settings of another implementation to start from: `thudm` (the baselines in the paper's code) or `peft`. Other
   * options given beside it win.
   */
  readonly preset?: "thudm" | "peft";
  /** P: positions in front of the text. Default 20. */
  readonly promptLength?: number;
  /**
   * Where the vectors stand: in `front` of the text, or inside it as the pseudo-tokens of a `template`, at the positions
   * that they have there. Default `front`.
   */
  readonly placement?: "front" | "template";
  /**
   * What heads take for the first position: the first token of the `text`, or row 0, which is the first prompt
   * vector, as in PEFT. Default `text`.
   */
  readonly pooledRow?: "text" | 0;
  /** How often texts pass the embedding module: twice in the code of P-Tuning v2. Default 1. */
  readonly embeddingPasses?: 1 | 2;
}

/** Their settings. */
export const inputPromptSettings: Readonly<Record<keyof InputPrompt, z.ZodExactOptional>> = {
  promptLength: promptLength.exactOptional().describe("trainable vectors in front of the text"),
  placement: z
    .enum(["front", "template"])
    .exactOptional()
    .describe("in front of the text, or inside it, at the pseudo-tokens {p*n} of task.template"),
  pooledRow: z
    .union([z.literal("text"), z.literal(0)])
    .exactOptional()
    .describe("what heads take for the first position: the text's first token, or 0 as PEFT does"),
  embeddingPasses: z
    .union([z.literal(1), z.literal(2)])
    .exactOptional()
    .describe("how often texts pass the embedding module; 2 in the code of P-Tuning v2"),
};

/** {@link InputPromptOptions} with every default filled in. */
export type InputPrompt = Required<Omit<InputPromptOptions, "preset">>;

const presets: { readonly [P in NonNullable<InputPromptOptions["preset"]>]: Partial<InputPrompt> } = {
  thudm: { embeddingPasses: 2 },
  peft: { pooledRow: 0 },
};

/**
 * Fills in the defaults.
 * @throws OPTION_INVALID naming the option
 */
export function resolveInputPrompt({ preset, ...options }: InputPromptOptions): InputPrompt {
  const { promptLength, placement, pooledRow, embeddingPasses } = {
    ...(preset && presets[preset]),
    ...options,
  };
  const resolved = {
    promptLength: promptLength ?? 20,
    placement: placement ?? "front",
    pooledRow: pooledRow ?? "text",
    embeddingPasses: embeddingPasses ?? 1,
  } as const;
  const check = (key: keyof InputPrompt, isValid: boolean, expected: string): void => {
    if (isValid) return;
    throw new PtuningError("OPTION_INVALID", `${key}: expected ${expected}, got ${resolved[key]}.`);
  };
  const length = resolved.promptLength;
  check("promptLength", Number.isInteger(length) && length > 0, "a whole number above 0");
  check("pooledRow", resolved.pooledRow === "text" || resolved.pooledRow === 0, "text or 0");
  check("placement", ["front", "template"].includes(resolved.placement), "front or template");
  if (resolved.placement === "template") {
    check("pooledRow", resolved.pooledRow === "text", "text with placement template");
    check("embeddingPasses", resolved.embeddingPasses === 1, "1 with placement template");
  }
  check("embeddingPasses", [1, 2].includes(resolved.embeddingPasses), "1 or 2");
  return resolved;
}

/** How many pseudo-tokens of a template the vectors are for, and where texts start. */
export function inputPlace({
  placement,
  promptLength,
}: InputPrompt): Pick<Method, "pseudoTokens" | "positionOffset"> {
  if (placement === "template") return { pseudoTokens: promptLength, positionOffset: () => 0 };
  return { positionOffset: () => promptLength };
}

/** Puts prompt vectors `[P, E]`, or `[P, B, E]`, in front of the text, or in the place of its pseudo-tokens. */
export function inputPrompt(vectors: Value, options: InputPrompt): Adaptation {
  const { promptLength, placement, pooledRow, embeddingPasses } = options;
  if (placement === "template") return { ...untouched, pseudoTokens: vectors };
  return {
    positionOffset: 0,
    layerPrompt: () => undefined,
    inputPrompt: { vectors, embeddingPasses, firstRow: pooledRow === "text" ? promptLength : pooledRow },
  };
}
