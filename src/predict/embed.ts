import { abortable, type Backbone } from "../backbones/portable.ts";
import { embeddingsOutput, meanPoolingGraph } from "../model/index.ts";
import type { TextInput } from "../text/index.ts";
import { outputs } from "./forward.ts";

/**
 * Vectors of texts by the untouched backbone: its last layer averaged over the tokens, brought to length 1.
 * @param signal ends the work with its reason
 * @returns one vector of the hidden size per text
 */
export async function embedTexts(
  texts: readonly TextInput[],
  given: Backbone,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  signal?.throwIfAborted();
  if (texts.length === 0) return [];
  const backbone = abortable(given, signal);
  const maxLength = backbone.architecture.maxLength(backbone.config, 0);
  const sequences = await backbone.tokenizer.encode(texts, maxLength);
  await using session = await backbone.engine.compile(meanPoolingGraph(backbone));
  const width = backbone.config.hiddenSize;
  const vectors = new Array<Float32Array>(texts.length);
  const passes = outputs(session, embeddingsOutput, sequences, backbone, maxLength);
  for await (const { rows, values } of passes) {
    for (const [i, row] of rows.entries()) {
      const vector = Float32Array.from({ length: width }, (_, j) => values[i * width + j]!);
      const norm = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
      vectors[row] = vector.map((x) => x / norm);
    }
  }
  return vectors;
}
