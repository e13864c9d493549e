/**
 * P-tuning (Liu et al. 2021, arXiv 2103.10385): input prompts that a small network makes from embeddings. The network
 * helps training only; what is saved is the prompt that it makes.
 *
 * Legend: P prompt length, E hidden size, m width of the network.
 */
import * as z from "zod";
import type { BackboneConfig } from "../backbones/index.ts";
import { PtuningError } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import { lstm } from "../nn/index.ts";
import type { MethodFamily } from "./family.ts";
import {
  type InputPromptOptions,
  inputPlace,
  inputPrompt,
  inputPromptSettings,
  resolveInputPrompt,
} from "./input-prompt.ts";
import type { Method, Parameter, ParamValues } from "./method.ts";
import { promptInput, promptTuning } from "./prompt-tuning.ts";
import { hiddenWidth } from "./settings.ts";
import { normal, uniform } from "./starts.ts";

/** Settings of P-tuning; see {@link pTuning}. */
export interface PTuningOptions extends InputPromptOptions {
  /** The network: a bidirectional LSTM of two layers with an MLP behind it, or an MLP alone. Default `lstm`. */
  readonly encoder?: "lstm" | "mlp";
  /** m: width of the LSTM per direction, or of the MLP; `"hidden"` takes the backbone's. Default `"hidden"`. */
  readonly encoderHiddenSize?: number | "hidden";
  /**
   * Widths of the linear layers: behind an LSTM 2m → 2m → E (`peft`) or 2m → E → E (`thudm`); without one
   * E → m → m → E or E → E → E. Default `peft`.
   */
  readonly mlpShape?: "peft" | "thudm";
}

const lstmLayers = 2;
const directions = ["forward", "backward"] as const;
const scope = "prompt.encoder";
const embeddings = `${scope}.embeddings`;

/** Widths that linear layers turn an input into, by encoder and shape. */
const mlpWidths: {
  readonly [E in "lstm" | "mlp"]: { readonly [S in "peft" | "thudm"]: (m: number, E: number) => number[] };
} = {
  lstm: { peft: (m, E) => [2 * m, E], thudm: (_, E) => [E, E] },
  mlp: { peft: (m, E) => [m, m, E], thudm: (_, E) => [E, E] },
};

/**
 * P-tuning with prompts in front of the text, or as pseudo-tokens inside a template (`placement: "template"`), as its
 * authors have them.
 *
 * @throws OPTION_INVALID naming the option
 * @example
 * pTuning({ promptLength: 8 }).deployed.name; // "prompt-tuning"
 */
export function pTuning(options: PTuningOptions = {}): Method {
  const { encoder = "lstm", encoderHiddenSize = "hidden", mlpShape, preset, ...shared } = options;
  // The code of P-tuning prepends nothing: of its preset only the network's shape has a meaning here.
  const prompt = resolveInputPrompt({ ...shared, ...(preset === "peft" && { preset }) });
  const resolved = { ...prompt, encoder, encoderHiddenSize, mlpShape: mlpShape ?? preset ?? "peft" };
  check(resolved);
  const method: Method = {
    name: "p-tuning",
    options: resolved,
    defaults: { learningRate: 1e-3 },
    parameters: (config) => encoderParameters(resolved, config),
    decays: "all",
    savedAs: "adapter",
    ...inputPlace(prompt),
    build: (ctx, _, params) => inputPrompt(promptVectors(ctx.b, params), prompt),
    deployed: promptTuning({ ...prompt, init: "normal", initScale: 1 }),
    folding: {
      // The names depend on the encoder alone.
      params: Object.keys(encoderParameters(resolved, { embeddingSize: 1, hiddenSize: 1 })),
      build: (b, params) => ({ [promptInput]: promptVectors(b, params) }),
    },
  };
  return method;
}

type Resolved = Required<Omit<PTuningOptions, "preset">>;

function check({ encoder, encoderHiddenSize, mlpShape }: Resolved): void {
  const fail = (message: string): never => {
    throw new PtuningError("OPTION_INVALID", message);
  };
  if (!Object.hasOwn(mlpWidths, encoder)) fail(`encoder: expected lstm or mlp, got "${encoder}".`);
  if (mlpShape !== "peft" && mlpShape !== "thudm") {
    fail(`mlpShape: expected peft or thudm, got "${mlpShape}".`);
  }
  const width = encoderHiddenSize;
  if (width !== "hidden" && !(Number.isInteger(width) && width > 0)) {
    fail(`encoderHiddenSize: expected a whole number above 0 or "hidden", got ${width}.`);
  }
}

/** All start as in torch, which both reference implementations leave as it is. */
function encoderParameters(
  { promptLength, encoder, encoderHiddenSize, mlpShape }: Resolved,
  { embeddingSize, hiddenSize }: Pick<BackboneConfig, "embeddingSize" | "hiddenSize">,
): Record<string, Parameter> {
  const m = encoderHiddenSize === "hidden" ? hiddenSize : encoderHiddenSize;
  const parameters: Record<string, Parameter> = {
    [embeddings]: { ...normal([promptLength, embeddingSize], 1), hasPromptRows: true },
  };
  let width = embeddingSize;
  for (let layer = 0; encoder === "lstm" && layer < lstmLayers; layer++) {
    for (const direction of directions) {
      const at = `${scope}.lstm.${layer}.${direction}`;
      const bound = 1 / Math.sqrt(m);
      parameters[`${at}.input.weight`] = uniform([4 * m, width], bound);
      parameters[`${at}.input.bias`] = uniform([4 * m], bound);
      parameters[`${at}.state.weight`] = uniform([4 * m, m], bound);
      parameters[`${at}.state.bias`] = uniform([4 * m], bound);
    }
    width = 2 * m;
  }
  for (const [i, out] of mlpWidths[encoder][mlpShape](m, embeddingSize).entries()) {
    const bound = 1 / Math.sqrt(width);
    parameters[`${scope}.mlp.${i}.weight`] = uniform([out, width], bound);
    parameters[`${scope}.mlp.${i}.bias`] = uniform([out], bound);
    width = out;
  }
  return parameters;
}

/** The prompt `[P, E]` that the network makes; computed once per step, whatever the batch. */
function promptVectors(b: GraphBuilder, params: ParamValues): Value {
  return b.scope(scope, () => {
    let x = params[embeddings]!;
    for (let layer = 0; `${scope}.lstm.${layer}.forward.input.weight` in params; layer++) {
      const halves = directions.map((direction) => {
        const at = `${scope}.lstm.${layer}.${direction}`;
        const weights = {
          inputWeight: params[`${at}.input.weight`]!,
          inputBias: params[`${at}.input.bias`]!,
          stateWeight: params[`${at}.state.weight`]!,
          stateBias: params[`${at}.state.bias`]!,
        };
        return lstm(b, x, weights, direction === "backward");
      });
      x = b.op("Concat", halves, { axis: 1 });
    }
    for (let i = 0; `${scope}.mlp.${i}.weight` in params; i++) {
      const input = i === 0 ? x : b.op("Relu", [x]);
      x = b.op("Gemm", [input, params[`${scope}.mlp.${i}.weight`], params[`${scope}.mlp.${i}.bias`]], {
        transB: 1,
      });
    }
    return x;
  });
}

/** As configurations and adapters name it. */
export const pTuningFamily: MethodFamily = {
  name: "p-tuning",
  settings: z.strictObject({
    ...inputPromptSettings,
    encoder: z.enum(["lstm", "mlp"]).exactOptional().describe("the network that makes the prompt"),
    encoderHiddenSize: hiddenWidth.exactOptional().describe("width of that network"),
    mlpShape: z.enum(["peft", "thudm"]).exactOptional().describe("widths of its linear layers"),
  }),
  create: (options) => pTuning(options as PTuningOptions),
};
