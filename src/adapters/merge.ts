import { type Backbone, readWeight } from "../backbones/portable.ts";
import { type Params, PtuningError } from "../core/index.ts";
import { fineTuning, methods } from "../methods/index.ts";
import { headShapes, paramShapes, weightPrefix } from "../model/index.ts";
import { Adapter, attach } from "./adapter.ts";

/**
 * The adapter as a checkpoint of its own, which computes the same without its method: saved, it is a folder that
 * transformers loads, as fine-tuning leaves one. For methods that are nothing but other weights (LoRA, BitFit).
 *
 * @throws OPTION_INVALID if the method is more than weights; ADAPTER_INCOMPATIBLE if it was trained on another backbone
 * @example
 * await using backbone = await loadBackbone("minilm");
 * const merged = await mergeAdapter(await loadAdapter("./adapters/rte-lora"), backbone);
 * await merged.save("./adapters/rte-merged");
 */
export async function mergeAdapter(adapter: Adapter, backbone: Backbone): Promise<Adapter> {
  const { method, params, frozen } = adapter;
  if (method.merge === undefined) {
    const able = Object.values(methods).filter(({ create }) => create({}, {}).merge !== undefined);
    throw new PtuningError(
      "OPTION_INVALID",
      `merge: expected an adapter of ${able.map(({ name }) => name).join(" or ")}, got one of ${method.name}.`,
      {
        hint: "Prompts are keys, values and rows of their own: no weights of the backbone compute the same.",
      },
    );
  }
  if (adapter.task.head.bare !== undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      "merge: expected a head that reads the tuned backbone alone, got one that also reads the untouched one, which merging would leave out.",
      { hint: "Train with training.blend: never." },
    );
  }
  const parts = attach(adapter, backbone);
  const { architecture, config, weights, id } = backbone;
  const read = (name: string): ReturnType<typeof readWeight> => readWeight(weights, name, id);
  const merged = await method.merge({ architecture, config, readWeight: read }, params);
  const all: Record<string, Params[string]> = {};
  for (const key of Object.keys(paramShapes({ ...parts, method: fineTuning() }))) {
    const name = key.startsWith(weightPrefix) ? key.slice(weightPrefix.length) : undefined;
    all[key] =
      (name === undefined ? params[key] : (merged[name] ?? params[key] ?? frozen[name])) ??
      (await read(name ?? key));
  }
  for (const key of Object.keys(headShapes(parts))) all[key] = params[key]!;
  return new Adapter({ ...adapter, method: fineTuning(), params: all, frozen: {}, source: backbone });
}
