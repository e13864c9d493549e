/** LoRA in the terms of PEFT: `LoraConfig`, and tensors named after the modules of transformers. */
import * as z from "zod";
import { PtuningError, shown } from "../../core/index.ts";
import { type LoraOptions, lora } from "../../methods/index.ts";
import type { PeftMapping, PeftMethod, PeftReader } from "./mapping.ts";

/** What PEFT puts in front of the modules of a model that it adapts from inside. */
const prefix = "base_model.model.";
const theirs = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;
const ours = /^lora\.(.+)\.([AB])$/;

const modulesOf = (names: readonly string[], pattern: RegExp): string[] => [
  ...new Set(names.flatMap((name) => pattern.exec(name)?.[1] ?? [])),
];

/** What PEFT calls LoRA with these settings. */
function written({
  rank,
  alpha,
  dropout,
}: Required<Pick<LoraOptions, "rank" | "alpha" | "dropout">>): PeftMethod {
  return {
    peftType: "LORA",
    config: (params) => ({
      r: rank,
      lora_alpha: alpha,
      lora_dropout: dropout,
      // In full: PEFT adapts every module whose name ends in one of these.
      target_modules: modulesOf(params, ours),
      bias: "none",
      fan_in_fan_out: false,
      init_lora_weights: true,
      use_rslora: false,
      use_dora: false,
    }),
    names: {
      toPeft(name) {
        const [, module, part] = ours.exec(name) ?? [];
        return module && `${prefix}${module}.lora_${part}.weight`;
      },
      fromPeft(name) {
        const [, module, part] = theirs.exec(name) ?? [];
        return module && `lora.${module}.${part}`;
      },
    },
    modulePrefix: prefix,
  };
}

interface LoraConfig {
  readonly r: number;
  readonly lora_alpha: number;
  readonly lora_dropout: number;
  readonly target_modules?: unknown;
  readonly use_rslora?: boolean | null | undefined;
  readonly init_lora_weights?: unknown;
  readonly [key: string]: unknown;
}

const config: z.ZodType<LoraConfig> = z.looseObject({
  r: z.int().positive().max(4096),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).lt(1).default(0),
  use_rslora: z.boolean().nullish(),
});

/** Keys that change what PEFT computes; each as it must be, beside absent, null, false and empty. */
const mustBe: Readonly<Record<string, unknown>> = {
  bias: "none",
  rank_pattern: {},
  alpha_pattern: {},
  use_dora: false,
  lora_bias: false,
  use_qalora: false,
  layer_replication: null,
  alora_invocation_tokens: null,
  arrow_config: null,
  trainable_token_indices: null,
  target_parameters: null,
};
/** Starts that change the backbone's own weights, which the adapter then does not hold. */
const changesBackbone = /^(pissa|olora|corda|loftq|lora_ga)/;

/** The ends of names that were asked for, where they say exactly which modules there are; else these. */
function targetsOf(given: LoraConfig, modules: readonly string[]): readonly string[] {
  const asked = z.array(z.string()).safeParse(given.target_modules).data ?? [];
  const isOne = (module: string, end: string): boolean => module === end || module.endsWith(`.${end}`);
  const ends = asked.filter((end) => modules.some((module) => isOne(module, end)));
  const areAll = modules.every((module) => /\.\d+\./.test(module) && ends.some((end) => isOne(module, end)));
  return areAll && !given.layers_to_transform ? ends.toSorted() : modules;
}

const reader: PeftReader = {
  config,
  read(given: LoraConfig, names) {
    const expect = (key: string, holds: boolean, expected: string): void => {
      if (holds) return;
      throw new PtuningError("OPTION_INVALID", `${key}: expected ${expected}, got ${shown(given[key])}.`);
    };
    const isEmpty = (value: unknown): boolean =>
      !value || (typeof value === "object" && Object.keys(value).length === 0);
    for (const [key, value] of Object.entries(mustBe))
      expect(key, isEmpty(given[key]) || given[key] === value, value === "none" ? "none" : "nothing");
    const start = given.init_lora_weights;
    expect(
      "init_lora_weights",
      typeof start !== "string" || !changesBackbone.test(start),
      "a start that leaves the backbone as it is",
    );
    const modules = modulesOf(names, theirs);
    expect("target_modules", modules.length > 0, "tensors of adapted modules beside it");
    const { r: rank, lora_alpha: alpha, use_rslora: isStabilized } = given;
    return {
      method: lora({
        rank,
        alpha: isStabilized ? alpha * Math.sqrt(rank) : alpha,
        dropout: given.lora_dropout,
        targets: targetsOf(given, modules),
      }),
      sizes: { hiddenSize: 0, numLayers: 0, numHeads: 0 },
      isFor: (architecture) => modules.every((module) => module.startsWith(architecture.prefix)),
    };
  },
};

export const peftLora: PeftMapping = { write: written, read: { LORA: reader } };
