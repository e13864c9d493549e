/**
 * P-Tuning v2 (Liu et al. 2022, section 3): trainable keys and values in front of every layer's own.
 *
 * Legend: P prompt length, k prompted layers, B batch, E hidden size, H heads, D = E/H, m MLP width.
 */
import * as z from "zod";
import type { Adaptation, BackboneConfig } from "../backbones/index.ts";
import { PtuningError } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import { dropout, type LayerContext, type LayerPrompt } from "../nn/index.ts";
import { activationStarts, fromActivations } from "./activations.ts";
import type { HeadKind } from "./defaults.ts";
import type { MethodFamily } from "./family.ts";
import type { ExampleParams, Method, Parameter, ParamValues } from "./method.ts";
import { type PromptLayers, promptLayers, resolvePromptLayers } from "./prompt-layers.ts";
import { hiddenRate, hiddenWidth, promptLength } from "./settings.ts";
import { constant, normal, uniform, zero } from "./starts.ts";

/** Whether prompts are trained directly or made by a small network. */
export type Reparameterization = "none" | "mlp";

/** Settings of deep prompts; see {@link deepPrompt}. */
export interface DeepPromptOptions {
  /**
   * Settings of another implementation to start from: `thudm` (the paper's code) or `peft`. Other options given
   * beside it win.
   */
  readonly preset?: "thudm" | "peft";
  /** P: positions in front of each layer. Default 20; from configurations 64 beside a head that answers per position. */
  readonly promptLength?: number;
  /** Which layers get a prompt. Default `"all"`. */
  readonly promptLayers?: PromptLayers;
  /** `"mlp"` trains a small network that makes the prompt; it is folded away on saving. Default `"none"`. */
  readonly reparameterization?: Reparameterization;
  /** m: width of the MLP; `"hidden"` takes the backbone's. Default 512. */
  readonly prefixHiddenSize?: number | "hidden";
  /** Dropout on prompt keys and values, drawn per example; `"hidden"` takes the backbone's rate. Default 0. */
  readonly promptDropout?: number | "hidden";
  /**
   * What prompts start from: `normal` numbers; `activations`, keys and values of words of the training texts; `labels`,
   * keys and values of the words of the class labels, with those of training texts behind them. Default `normal`.
   */
  readonly init?: DeepPromptInit;
  /** Standard deviation of the normal distribution that prompts start from. */
  readonly initScale?: number;
  /** Whether each layer and head learns how much it attends to the prompt, from next to nothing. Default false. */
  readonly gate?: boolean;
  /**
   * How the MLP's layers start: normal with `initScale` and zero biases, or uniform ±1/√fan-in as in torch. Default
   * uniform.
   */
  readonly mlpInit?: "normal" | "uniform";
  /** Whether text positions start behind the prompt, as in both reference implementations. Default true. */
  readonly positionOffset?: boolean;
}

/** What deep prompts start from; see {@link DeepPromptOptions.init}. */
export type DeepPromptInit = "normal" | keyof typeof activationStarts;

type Resolved = Required<Omit<DeepPromptOptions, "preset">>;

const defaults: Resolved = {
  promptLength: 20,
  promptLayers: "all",
  reparameterization: "none",
  prefixHiddenSize: 512,
  promptDropout: 0,
  init: "normal",
  initScale: 1,
  gate: false,
  // A normal start of standard deviation 1 makes keys so large that attention sees nothing else, and the model collapses.
  mlpInit: "uniform",
  positionOffset: true,
};

/**
 * Options that suit a head. The paper, too, finds longer prompts better for sequence labelling (section 3.3); CoNLL04,
 * ten epochs, F1 on test: 66.4 with 16 positions, 71.4 with 64, 69.9 with 128 (results/comparisons).
 */
function deepPromptDefaults({ perPosition }: HeadKind): DeepPromptOptions {
  return perPosition ? { promptLength: 64 } : {};
}

/** Settings of the paper's code (`prefix_encoder.py`, `_init_weights`) and of PEFT's `PrefixEncoder`. */
const presets: { readonly [P in NonNullable<DeepPromptOptions["preset"]>]: Partial<Resolved> } = {
  thudm: { prefixHiddenSize: 512, promptDropout: "hidden", initScale: 0.02, mlpInit: "normal" },
  peft: { prefixHiddenSize: "hidden", promptDropout: 0, initScale: 1, mlpInit: "uniform" },
};

/** The one tensor of a flat prompt, `[P, 2·k·E]`: row p holds key and value of each prompted layer in turn. */
export const promptEmbeddings = "prompt.embeddings";
/** Bias of each prompted layer and head on the attention logits of the prompt's columns, `[k, H]`. */
const promptGate = "prompt.gate";
/** e⁻¹⁰: at first the prompt weighs as good as nothing, and the backbone computes as it was trained to. */
const gateStart = -10;
/**
 * Adam moves a number by about the learning rate per update: at the prompt's own a gate would need a thousand of them
 * to open, at this multiple a hundred.
 */
const gateRateFactor = 10;
const mlpEmbeddings = "prompt.mlp.embeddings";
const mlpIn = "prompt.mlp.in";
const mlpOut = "prompt.mlp.out";

/**
 * Deep prompt tuning. 0.1–3 % of the backbone's parameters are trained; the backbone stays as it is.
 *
 * @throws OPTION_INVALID naming the option
 * @example
 * deepPrompt({ promptLength: 32, promptLayers: { last: 3 } }).options.promptLength; // 32
 */
export function deepPrompt(options: DeepPromptOptions = {}): Method {
  const { preset, ...given } = options;
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const resolved: Resolved = { ...defaults, ...(preset && presets[preset]), ...known };
  check(resolved);
  return resolved.reparameterization === "none" ? flat(resolved) : reparameterized(resolved);
}

function check({ promptLength, init, initScale, prefixHiddenSize, reparameterization }: Resolved): void {
  const positive = (name: string, value: unknown): void => {
    if (Number.isInteger(value) && (value as number) > 0) return;
    throw new PtuningError(
      "OPTION_INVALID",
      `${name}: expected a whole number above 0, got ${String(value)}.`,
    );
  };
  positive("promptLength", promptLength);
  if (prefixHiddenSize !== "hidden") positive("prefixHiddenSize", prefixHiddenSize);
  if (!(initScale >= 0)) {
    throw new PtuningError("OPTION_INVALID", `initScale: expected a number of at least 0, got ${initScale}.`);
  }
  if (init === "normal") return;
  if (!Object.hasOwn(activationStarts, init)) {
    const names = ["normal", ...Object.keys(activationStarts)].join(", ");
    throw new PtuningError("OPTION_INVALID", `init: expected one of ${names}, got "${init}".`);
  }
  if (reparameterization !== "none") {
    throw new PtuningError(
      "OPTION_INVALID",
      `init: expected normal with reparameterization ${reparameterization}, got "${init}".`,
      {
        hint: "There a network makes the keys and values: what could start from these are its weights, not they.",
      },
    );
  }
}

function flat(options: Resolved): Method {
  const method: Method = {
    ...shared(options),
    // What the paper's code searches up to on classification; results/README.md has what comes of it.
    defaults: { learningRate: 1e-2 },
    // CoNLL04, ten epochs, F1 on dev: 62.0 at 1e-2, 66.0 at 3e-2 (results/convergence.jsonl), which is also what the
    // paper's code has for CoNLL 2003.
    perPositionDefaults: { learningRate: 3e-2 },
    parameters(config) {
      const { init, initScale, promptLength, promptLayers } = options;
      const shape = [promptLength, promptWidth(options, config)] as const;
      const layers = resolvePromptLayers(promptLayers, config.numLayers);
      const start =
        init === "normal" ? normal(shape, initScale) : fromActivations(shape, layers, activationStarts[init]);
      return {
        [promptEmbeddings]: { ...start, hasPromptRows: true, layers },
        ...gateParameter(options, config),
      };
    },
    build: (ctx, config, params, architecture) =>
      adaptation(
        config,
        options,
        sharedParts(ctx, config, options, params, params[promptEmbeddings]!),
        ctx.b,
        method.positionOffset(architecture, config),
      ),
    mixed: {
      key: JSON.stringify([
        "deep",
        ...[options.promptLength, options.promptLayers, options.gate, options.positionOffset],
      ]),
      build: (ctx, config, params, architecture) =>
        adaptation(
          config,
          options,
          exampleParts(ctx, config, options, params),
          ctx.b,
          method.positionOffset(architecture, config),
        ),
    },
    get deployed() {
      return method;
    },
  };
  return method;
}

function reparameterized(options: Resolved): Method {
  const matrix = (b: GraphBuilder, params: ParamValues): Value =>
    b.scope("prompt.mlp", () => {
      const layer = (x: Value, name: string): Value =>
        b.op("Gemm", [x, params[`${name}.weight`], params[`${name}.bias`]], { transB: 1 });
      return layer(b.op("Tanh", [layer(params[mlpEmbeddings]!, mlpIn)]), mlpOut);
    });
  const method: Method = {
    ...shared(options),
    // 1e-2 is known to end in a model that predicts one class (P-tuning-v2 issue 13).
    defaults: { learningRate: 1e-3 },
    // CoNLL04, ten epochs, 16 positions: the head is too slow at 1e-3 and answers O throughout; F1 on test 56.2 at 3e-3
    // (results/comparisons).
    perPositionDefaults: { learningRate: 3e-3 },
    parameters(config) {
      const { promptLength, prefixHiddenSize, initScale } = options;
      const width = prefixHiddenSize === "hidden" ? config.hiddenSize : prefixHiddenSize;
      const layers = resolvePromptLayers(options.promptLayers, config.numLayers);
      return {
        [mlpEmbeddings]: {
          ...normal([promptLength, config.hiddenSize], initScale),
          hasPromptRows: true,
          layers,
        },
        ...linearParameters(options, mlpIn, width, config.hiddenSize),
        ...linearParameters(options, mlpOut, promptWidth(options, config), width),
        ...gateParameter(options, config),
      };
    },
    build: (ctx, config, params, architecture) =>
      adaptation(
        config,
        options,
        sharedParts(ctx, config, options, params, matrix(ctx.b, params)),
        ctx.b,
        method.positionOffset(architecture, config),
      ),
    deployed: flat({ ...options, reparameterization: "none" }),
    folding: {
      params: [mlpEmbeddings, ...[mlpIn, mlpOut].flatMap((name) => [`${name}.weight`, `${name}.bias`])],
      build: (b, params) => ({ [promptEmbeddings]: matrix(b, params) }),
    },
  };
  return method;
}

function shared(
  options: Resolved,
): Pick<Method, "name" | "options" | "decays" | "savedAs" | "positionOffset"> {
  return {
    decays: "all",
    savedAs: "adapter",
    name: "p-tuning-v2",
    options,
    positionOffset: (architecture, config) =>
      options.positionOffset ? architecture.promptPositionOffset(options.promptLength, config) : 0,
  };
}

/** 2·k·E */
function promptWidth({ promptLayers }: Resolved, config: BackboneConfig): number {
  return 2 * resolvePromptLayers(promptLayers, config.numLayers).length * config.keyWidth;
}

function gateParameter({ gate, promptLayers }: Resolved, config: BackboneConfig): Record<string, Parameter> {
  if (!gate) return {};
  const shape = [resolvePromptLayers(promptLayers, config.numLayers).length, config.numHeads];
  return { [promptGate]: { ...constant(shape, gateStart), rateFactor: gateRateFactor } };
}

/** Keys and values of the prompted layers, written where a layer reads them: what is as large as the batch belongs to its checkpoint. */
interface PromptParts {
  /** Key (0) or value (1) of the i-th prompted layer: `[P, B, H, D]`. */
  part(i: number, which: 0 | 1): Value;
  /** Of its prompt columns, `[H]` or `[B, H]`; absent where there is no gate. */
  gate?(i: number): Value;
}

/** Cuts a prompt matrix `[P, 2·k·E]` that all examples share. */
function sharedParts(
  ctx: LayerContext,
  config: BackboneConfig,
  { promptLength, promptLayers, promptDropout }: Resolved,
  params: ParamValues,
  matrix: Value,
): PromptParts {
  const { b } = ctx;
  const { numHeads, keyWidth, numLayers, hiddenDropout } = config;
  const count = 2 * resolvePromptLayers(promptLayers, numLayers).length;
  const rate = promptDropout === "hidden" ? hiddenDropout : promptDropout;
  const gate = params[promptGate];
  const lengths = (): Value => b.integers(Array.from({ length: count }, () => keyWidth));
  const parts = b.scope("prompt", () => b.ops("Split", count, [matrix, lengths()], { axis: 1 }));
  const heads = [numHeads, keyWidth / numHeads];
  return {
    part(i, which) {
      const one = b.reshape(parts[2 * i + which]!, [promptLength, 1, ...heads]);
      return dropout(ctx, b.expand(one, [promptLength, "B", ...heads]), rate);
    },
    ...(gate && { gate: (i) => b.reshape(b.slice(gate, 0, i, i + 1), [numHeads]) }),
  };
}

/** The same of matrices that each example has for itself. Nothing is dropped. */
function exampleParts(
  { b }: LayerContext,
  { numHeads, keyWidth }: BackboneConfig,
  { promptLength, gate }: Resolved,
  params: ExampleParams,
): PromptParts {
  const heads = [numHeads, keyWidth / numHeads];
  return {
    part: (i, which) =>
      b.reshape(params.columns(promptEmbeddings, (2 * i + which) * keyWidth, keyWidth), [
        promptLength,
        "B",
        ...heads,
      ]),
    ...(gate && { gate: (i) => params.row(promptGate, i) }),
  };
}

/** Prompts in front of the prompted layers. */
function adaptation(
  { numLayers }: BackboneConfig,
  { promptLayers }: Resolved,
  { part, gate }: PromptParts,
  b: GraphBuilder,
  positionOffset: number,
): Adaptation {
  const layers = resolvePromptLayers(promptLayers, numLayers);
  const layerPrompt = (layer: number): LayerPrompt | undefined => {
    const i = layers.indexOf(layer);
    if (i < 0) return undefined;
    return b.scope("prompt", () => ({ key: part(i, 0), value: part(i, 1), ...(gate && { bias: gate(i) }) }));
  };
  return { positionOffset, layerPrompt };
}

function linearParameters(
  { mlpInit, initScale }: Resolved,
  name: string,
  outWidth: number,
  inWidth: number,
): Readonly<Record<string, Parameter>> {
  const bound = 1 / Math.sqrt(inWidth);
  const isNormal = mlpInit === "normal";
  const shape = [outWidth, inWidth];
  return {
    [`${name}.weight`]: isNormal ? normal(shape, initScale) : uniform(shape, bound),
    [`${name}.bias`]: isNormal ? zero([outWidth]) : uniform([outWidth], bound),
  };
}

/** As configurations and adapters name it. */
export const deepPromptFamily: MethodFamily = {
  name: "p-tuning-v2",
  settings: z.strictObject({
    promptLength: promptLength.exactOptional().describe("trainable positions in front of each layer"),
    promptLayers: promptLayers
      .exactOptional()
      .describe("all, {first: k}, {last: k}, or a list of layers from 0"),
    reparameterization: z
      .enum(["none", "mlp"])
      .exactOptional()
      .describe("train the prompt directly, or a small network that makes it"),
    prefixHiddenSize: hiddenWidth.exactOptional().describe("width of that network"),
    promptDropout: hiddenRate.exactOptional().describe("dropout on prompt keys and values"),
    init: z
      .enum(["normal", "activations", "labels"])
      .exactOptional()
      .describe(
        "what prompts start from: numbers, keys and values of training texts, or those of label words",
      ),
    initScale: z.number().nonnegative().exactOptional().describe("standard deviation of normal"),
    gate: z
      .boolean()
      .exactOptional()
      .describe("learn how much each layer and head attends to the prompt, from next to nothing"),
    mlpInit: z.enum(["normal", "uniform"]).exactOptional().describe("how the network starts"),
    positionOffset: z
      .boolean()
      .exactOptional()
      .describe("start text positions behind the prompt, as the reference does"),
  }),
  create: (options, head) => deepPrompt({ ...deepPromptDefaults(head), ...options }),
};
