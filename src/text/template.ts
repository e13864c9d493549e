import { PtuningError } from "../core/index.ts";

/** A model input made of one or two ranges of tokens. */
export interface Assembled {
  readonly ids: Int32Array;
  /** Segment (token type) of each token. */
  readonly typeIds: Uint8Array;
  /** Index of the first token of the first range. */
  readonly firstStart: number;
  /** Index of the first token of the second range, if there is one. */
  readonly secondStart: number | undefined;
}

/** How a backbone's special tokens stand around one text, and around two. */
export interface Template {
  /** Number of special tokens around one text, and around a pair. */
  readonly addedTokens: { readonly single: number; readonly pair: number };
  /**
   * Puts the special tokens around one or two ranges of tokens, with the token types of each:
   * `[CLS] a [SEP] b [SEP]` in BERT, `<s> a </s></s> b </s>` in RoBERTa.
   */
  assemble(first: ArrayLike<number>, second?: ArrayLike<number>): Assembled;
}

/** What is asked of a tokenizer here; the library's own types would end up in ours, and they do not compile. */
interface PairEncoder {
  encode(
    first: string,
    second?: string,
  ): Promise<{
    getIds(): number[];
    getTypeIds(): number[];
    getSequenceIds(): readonly (number | undefined | null)[];
  }>;
}

/** A special token, or the place of the first (0) or second (1) range. */
type Part = { readonly type: number } & ({ readonly id: number } | { readonly range: 0 | 1 });

/**
 * Reads the template off the tokenizer: what its own post-processor makes of two short texts.
 * @throws BACKBONE_INVALID if the post-processor does not keep the texts in order
 */
export async function templateOf(native: PairEncoder, where: string): Promise<Template> {
  const single = await probe(native, where);
  const pair = await probe(native, where, probeText);
  return {
    addedTokens: { single: single.length - 1, pair: pair.length - 2 },
    assemble(first, second) {
      const parts = second === undefined ? single : pair;
      const ranges = second === undefined ? [first] : [first, second];
      const length = parts.length - ranges.length + ranges.reduce((total, range) => total + range.length, 0);
      const ids = new Int32Array(length);
      const typeIds = new Uint8Array(length);
      const starts: number[] = [];
      let at = 0;
      for (const part of parts) {
        const own = "id" in part ? [part.id] : ranges[part.range]!;
        if ("range" in part) starts[part.range] = at;
        ids.set(own, at);
        typeIds.fill(part.type, at, at + own.length);
        at += own.length;
      }
      return { ids, typeIds, firstStart: starts[0]!, secondStart: starts[1] };
    },
  };
}

const probeText = "a";

async function probe(native: PairEncoder, where: string, second?: string): Promise<Part[]> {
  const encoding = await native.encode(probeText, second);
  const [ids, types, ranges] = [encoding.getIds(), encoding.getTypeIds(), encoding.getSequenceIds()];
  const parts: Part[] = [];
  for (const [i, id] of ids.entries()) {
    const range = ranges[i] ?? undefined;
    const type = types[i]!;
    if (range === undefined) parts.push({ type, id });
    else if (range !== ranges[i - 1]) parts.push({ type, range: range as 0 | 1 });
  }
  const order = parts.flatMap((part) => ("range" in part ? [part.range] : []));
  const expected = second === undefined ? "0" : "0,1";
  if (`${order}` !== expected) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${where}: post_processor: expected the texts in order (${expected}), got ${order.join(",") || "none"}.`,
    );
  }
  return parts;
}
