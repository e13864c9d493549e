import { simplify } from "../graph/index.ts";
import type { Engine, EngineFacts } from "./engine.ts";

/**
 * The same engine with other facts, as of an engine that is not at hand: graphs are written in the ops that it has by
 * these. Who closes it closes the engine.
 * @example
 * const plain = limitedEngine(nodeEngine(), { ops: standardOps });
 */
export function limitedEngine(engine: Engine, facts: Partial<EngineFacts>): Engine {
  const own = { ...engine.facts, ...facts };
  return {
    name: `${engine.name}, limited`,
    facts: own,
    compile: async (graph, options) => engine.compile(simplify(graph, own.ops), options),
    hold: (tensors) => engine.hold(tensors),
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}
