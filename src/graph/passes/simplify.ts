import type { Graph } from "../graph.ts";
import { verify } from "../verify.ts";
import { dropIdleEdges } from "./edges.ts";
import { foldConstants } from "./fold.ts";
import { mergeDuplicates } from "./merge.ts";
import { prune } from "./prune.ts";

/** The passes that every graph goes through before it runs, each followed by the verifier. */
export function simplify(graph: Graph): Graph {
  const passes = [prune, dropIdleEdges, foldConstants, mergeDuplicates, prune];
  return passes.reduce((g, pass) => verify(pass(g)), verify(graph));
}
