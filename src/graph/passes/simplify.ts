import type { Graph } from "../graph.ts";
import { everyOp, type OpSupport } from "../support.ts";
import { verify } from "../verify.ts";
import { dropIdleEdges } from "./edges.ts";
import { foldConstants } from "./fold.ts";
import { lower } from "./lower.ts";
import { mergeDuplicates } from "./merge.ts";
import { prune } from "./prune.ts";

/**
 * The passes that every graph goes through before it runs, each followed by the verifier.
 * @param support ops that it may hold after; default the whole table
 * @throws GRAPH_INVALID naming the node that does not fit, or cannot be written in these ops
 */
export function simplify(graph: Graph, support: OpSupport = everyOp): Graph {
  const lowered = (g: Graph): Graph => lower(g, support);
  const passes = [prune, dropIdleEdges, lowered, foldConstants, mergeDuplicates, prune];
  return passes.reduce((g, pass) => {
    const next = pass(g);
    return next === g ? g : verify(next);
  }, verify(graph));
}
