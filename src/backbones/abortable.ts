import { abortableEngine } from "../engine/portable.ts";
import { abortableTokenizer } from "../text/portable.ts";
import type { Backbone } from "./backbone.ts";

/**
 * The backbone for as long as nobody aborts: then encoding texts and running graphs throws the signal's reason. Whoever
 * is handed it need not know of the signal.
 */
export function abortable(backbone: Backbone, signal: AbortSignal | undefined): Backbone {
  if (signal === undefined) return backbone;
  return {
    ...backbone,
    tokenizer: abortableTokenizer(backbone.tokenizer, signal),
    engine: abortableEngine(backbone.engine, signal),
  };
}
