/** Legend: B batch, S sequence, E hidden size. */
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { buildLogits, buildTrunk, type ModelParts, paramInputs, type Trunk, trunkStates } from "./model.ts";
import type { ParamShapes } from "./parameters.ts";

/** Number of layers, from the lowest, that do not depend on a trained tensor; 0 where the head reads each of them. */
export function trunkLayers(parts: ModelParts, params: ParamShapes): number {
  if (parts.head.everyLayer) return 0;
  const b = new GraphBuilder("trunk layers");
  const values = paramInputs(b, params);
  buildLogits(b, parts, values, undefined);
  const active = new Set<Value>(Object.values(values));
  for (const { inputs, outputs } of b.nodes) {
    if (inputs.some((input) => input && active.has(input))) for (const output of outputs) active.add(output);
  }
  const reached = b.checkpoints.findIndex(({ start, end }) =>
    b.nodes.slice(start, end).some(({ outputs }) => outputs.some((output) => active.has(output))),
  );
  return reached < 0 ? b.checkpoints.length : reached;
}

/** The graph of the trunk: batch in, {@link trunkStates} out. */
export function trunkGraph(parts: ModelParts, { layers, dtype }: Trunk): Graph {
  const b = new GraphBuilder("trunk");
  const states = buildTrunk(b, parts, layers);
  b.output(trunkStates, dtype === "float32" ? states : b.op("Cast", [states], { to: dtype }));
  return b.build();
}
