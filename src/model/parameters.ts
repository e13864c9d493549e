import { type Backbone, readWeight } from "../backbones/portable.ts";
import { type Params, PtuningError, Rng, type Tensor } from "../core/index.ts";
import type { StartingPoint } from "../methods/index.ts";
import type { RateFactors } from "../optim/index.ts";
import { inferenceGraph } from "./graphs.ts";
import { keysAndValues } from "./keys-and-values.ts";
import { headParameter, type ModelParts, missingWeights, weightPrefix } from "./model.ts";

/** Names and shapes of trainable tensors. */
export type ParamShapes = Readonly<Record<string, { readonly shape: readonly number[] }>>;

/** All trainable tensors: backbone weights that the method trains, the method's own, and the head's. */
export function paramShapes(parts: ModelParts): ParamShapes {
  const { backbone, method } = parts;
  const own: ParamShapes = {
    ...method.parameters(backbone.config, backbone.architecture),
    ...headShapes(parts),
  };
  return unfixed(parts, { ...trainedWeights(parts, own), ...own });
}

/** The starting values of the head, by name; all heads draw from streams of their own. */
function headParams({ backbone, head, headName }: ModelParts, rng: Rng): Params {
  const own = head.initialize(backbone.config, rng.split("head", ...(headName ? [headName] : [])));
  return Object.fromEntries(
    Object.entries(own).map(([name, tensor]) => [headParameter(headName, name), tensor]),
  );
}

/** Names and shapes of the head's tensors. */
export function headShapes(parts: ModelParts): ParamShapes {
  return headParams(parts, new Rng(0));
}

/** Without the tensors that stay as they are. */
function unfixed<T>({ fixed = {} }: ModelParts, tensors: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => !(name in fixed)));
}

/**
 * Learning rate of each trainable tensor as a multiple of the run's.
 * @param headFactor that of the head's tensors
 */
export function rateFactors(parts: ModelParts, headFactor: number): RateFactors {
  const { backbone, method } = parts;
  const factors = new Map(Object.keys(headShapes(parts)).map((name) => [name, headFactor]));
  for (const [name, { rateFactor }] of Object.entries(
    method.parameters(backbone.config, backbone.architecture),
  ))
    if (rateFactor !== undefined) factors.set(name, rateFactor);
  return (name) => factors.get(name) ?? 1;
}

/** Backbone weights that the method trains, of those that the logits depend on. */
function trainedWeights(parts: ModelParts, own: ParamShapes): ParamShapes {
  const { method, backbone } = parts;
  if (method.trains === undefined) return {};
  // What a checkpoint lacks is trained like what it has.
  const frozen = { ...missingWeights(parts, new Rng(0)), ...parts.frozen };
  const sources = [...backbone.weights, ...Object.entries(frozen)];
  const names = new Map(sources.map(([name, source]) => [source as unknown, name]));
  const read = [...inferenceGraph({ ...parts, frozen, fixed: {} }, own).initializers].flatMap(
    ([{ shape }, source]) => {
      const name = names.get(source);
      const isTrained = name !== undefined && method.trains!(name, backbone.architecture);
      return isTrained ? [[`${weightPrefix}${name}`, { shape: shape as number[] }] as const] : [];
    },
  );
  if (read.length === 0) {
    throw new PtuningError(
      "OPTION_INVALID",
      `method: ${method.name} trains weights of the backbone, of which ${backbone.id} (${backbone.config.modelType}) has none.`,
      { hint: "An architecture without biases leaves BitFit nothing to train: choose another method." },
    );
  }
  return Object.fromEntries(read);
}

/**
 * Starting values of all trainable tensors, each from a stream of its own.
 * @throws OPTION_INVALID if there are none
 * @param texts training texts, for methods that start from what the backbone makes of them
 */
export async function initializeParams(
  parts: ModelParts & { readonly backbone: Pick<Backbone, "tokenizer" | "engine"> },
  rng: Rng,
  labels: readonly string[] = [],
  texts?: StartingPoint["texts"],
): Promise<Params> {
  const { method, backbone } = parts;
  const { architecture, config, weights, tokenizer, id } = backbone;
  const read = async (name: string): Promise<Tensor<"float32">> => {
    const drawn = parts.frozen?.[name] as Tensor<"float32"> | undefined;
    return drawn ? structuredClone(drawn) : readWeight(weights, name, id);
  };
  const parameters = method.parameters(config, architecture);
  const params: Record<string, Params[string]> = {};
  const names = Object.keys(paramShapes(parts));
  if (names.length === 0) {
    throw new PtuningError(
      "OPTION_INVALID",
      `method: expected one that trains something, got ${method.name} with the head ${parts.head.name}, which has no parameters.`,
      {
        hint: "Beside a verbalizer choose p-tuning-v2, prompt-tuning, p-tuning, lora, bitfit or fine-tuning; without training: ptuning evaluate with this configuration.",
      },
    );
  }
  for (const name of names) {
    if (name.startsWith(weightPrefix)) params[name] = await read(name.slice(weightPrefix.length));
  }
  const streams = rng.split("method");
  for (const [name, parameter] of Object.entries(parameters)) {
    params[name] = await parameter.start({
      rng: streams.split(name),
      config,
      readWeight: read,
      tokenizer,
      labels,
      ...(texts && { texts }),
      keysAndValues: (...wanted) => keysAndValues(parts, backbone.engine, ...wanted),
    });
  }
  return unfixed(parts, { ...params, ...headParams(parts, rng) });
}
