/** Legend: B batch, S sequence, E hidden size, C labels. */
import type { Head } from "./head.ts";
import { type HeadDropout, initializeLinear, linearLogits } from "./linear.ts";

/** Settings of a head on every token. */
export interface TokenHeadOptions {
  /** Dropout on the token states. Default: the backbone's rate, as the reference implementation. */
  readonly headDropout?: HeadDropout;
}

/** Dropout and a linear layer on the state of every token: logits `[S·B, C]`, `BertForTokenClassification`. */
export function tokenHead(numLabels: number, { headDropout = "hidden" }: TokenHeadOptions = {}): Head {
  return positionHead("token", numLabels, headDropout);
}

/**
 * A linear layer from the state of every token to its logits as first and as last token of the answer, `[S·B, 2]`:
 * `BertForQuestionAnswering`.
 */
export function spanHead({ headDropout = 0 }: TokenHeadOptions = {}): Head {
  return positionHead("span", 2, headDropout);
}

function positionHead(name: string, width: number, headDropout: HeadDropout): Head {
  return {
    name,
    options: { headDropout },
    rows: "all",
    perPosition: true,
    linear: { name: "positions", vectors: (_, { hidden }) => hidden },
    initialize: (config, rng) => initializeLinear(width, config, rng),
    build: (ctx, head) => ctx.b.scope("head", () => linearLogits(ctx, head.hidden, head, headDropout)),
  };
}
