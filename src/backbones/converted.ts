import { bytesOf, type ExternalTensor, foldersOf, type Tensor, toFloat32 } from "../core/index.ts";
import type { EngineFacts } from "../engine/index.ts";
import type { PendingTensor } from "../files/index.ts";
import type { FormName, StoredForm } from "../nn/index.ts";
import type { Backbone } from "./backbone.ts";
import type { StoredWeight } from "./checkpoint.ts";

/** What is made. */
export interface Conversion {
  readonly name: FormName;
  readonly form: StoredForm;
  /** Of the engine that it is made for. */
  readonly facts: EngineFacts;
}

/**
 * Weights with the matrices of the linear layers in another form, where it suits them; everything else is float32.
 *
 * @param signal ends the making with its reason
 */
export function convertedWeights(
  backbone: Pick<Backbone, "id" | "architecture" | "config" | "weights" | "fingerprint" | "makeWeights">,
  { name, form, facts }: Conversion,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ExternalTensor>> {
  const { architecture, config, weights } = backbone;
  const linears = new Set(architecture.linears(config).map((layer) => `${layer.name}.weight`));
  const tensors = (read: (weight: StoredWeight) => Promise<Tensor>): Record<string, PendingTensor> => {
    const pending: Record<string, PendingTensor> = {};
    for (const [weightName, weight] of weights) {
      const values = async (): Promise<Float32Array> => toFloat32(await read(weight)).data;
      const { shape } = weight;
      const made = linears.has(weightName) ? form.tensors(shape as [number, number], facts) : undefined;
      if (made === undefined) {
        // In the graph, 16 bits would become a copy in memory per session.
        pending[weightName] = { dtype: "float32", shape, bytes: async () => bytesOf(await values()) };
        continue;
      }
      for (const [suffix, { make, ...one }] of Object.entries(made))
        pending[`${weightName}${suffix}`] = { ...one, bytes: async () => bytesOf(make(await values())) };
    }
    return pending;
  };
  const wanted = { kind: "quantized", layout: form.layout(facts), name, tensors };
  return backbone.makeWeights(backbone, wanted, signal);
}

/** The layout of the copy that {@link usableWeights} makes. */
const rowsLayout = "rows-v1";

/**
 * A checkpoint's weights as the runtime reads them: in the checkpoint's own files where all lie row-major, in floats of 16
 * or 32 bits, in one folder where they are files; else in a copy.
 *
 * @param signal ends the copying with its reason
 */
export async function usableWeights(
  backbone: Pick<Backbone, "id" | "fingerprint" | "makeWeights"> & {
    readonly weights: ReadonlyMap<string, StoredWeight>;
  },
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ExternalTensor>> {
  const all = [...backbone.weights.values()];
  const isInRows = all.every(({ strides, dtype }) => strides === undefined && dtype !== "float64");
  if (isInRows && foldersOf(all.map(({ source }) => source)).size <= 1) return backbone.weights;
  const tensors = (read: (weight: StoredWeight) => Promise<Tensor>): Record<string, PendingTensor> =>
    Object.fromEntries(
      [...backbone.weights].map(([name, weight]): [string, PendingTensor] => {
        const { shape } = weight;
        const dtype = weight.dtype === "float64" ? "float32" : weight.dtype;
        const values = async (): Promise<Tensor> => {
          const tensor = await read(weight);
          return dtype === tensor.dtype ? tensor : toFloat32(tensor);
        };
        return [name, { dtype, shape, bytes: async () => bytesOf((await values()).data) }];
      }),
    );
  const wanted = { kind: "copied", layout: rowsLayout, name: "copied", tensors };
  return backbone.makeWeights(backbone, wanted, signal);
}
