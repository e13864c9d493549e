/** Legend: B batch, K masks, E hidden size, V vocabulary, W label words of one length, C labels. */
import type { BackboneConfig, LmHead } from "../backbones/index.ts";
import { floats, multiplyDims, type Tensor } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import { affine, type LayerContext } from "../nn/index.ts";
import type { Head } from "./head.ts";

/** The words of each label, each as the ids of its pieces. */
export type LabelPieces = readonly (readonly (readonly number[])[])[];

/** Different numbers of pieces that the words have, ascending: a text has one sequence with so many masks for each. */
export function pieceCounts(pieces: LabelPieces): readonly number[] {
  return [...new Set(pieces.flat().map(({ length }) => length))].sort((a, b) => a - b);
}

/**
 * A verbalizer: what the backbone's own masked-LM head says of each label's words at the masks of a template. Nothing
 * in it is trained.
 *
 * The score of a word is the sum of its pieces' log-probabilities, each at a mask of its own; of a label the mean over
 * its words. The logits `[B, C]` of a sequence hold the words of as many pieces as it has masks; those of a text are
 * the sum over its sequences. Where every word is one piece, the logits of the LM head stand for log-probabilities:
 * they differ by a number that all labels share, and no other word of the vocabulary needs to be scored.
 *
 * @param offsets added to each label's score
 */
export function verbalizerHead(pieces: LabelPieces, offsets: readonly number[] = pieces.map(() => 0)): Head {
  const counts = pieceCounts(pieces);
  const groups = counts.map((count) => groupOf(pieces, count));
  return {
    name: "verbalizer",
    options: {},
    rows: { gaps: counts.at(-1)! },
    usesLmHead: true,
    initialize: () => ({}),
    build: (ctx, { architecture: { lmHead }, config, inputs: { markCounts }, hidden }) =>
      ctx.b.scope("verbalizer", () => {
        const { b } = ctx;
        const features = lmHead.transform(ctx, config, hidden);
        const shares = offsets.map((offset) => offset / counts.length);
        const offset = constant(b, "verbalizer.offsets", [shares.length], shares);
        if (counts.at(-1) === 1) {
          const scores = wordLogits(ctx, lmHead, config, features, groups[0]!.words.flat());
          return labelMeans(ctx, scores, groups[0]!, offset);
        }
        const batch = markCounts!.shape[0]!;
        const logProbabilities = b.op("LogSoftmax", [vocabularyLogits(ctx, lmHead, config, features)], {
          axis: -1,
        });
        const sums = groups.map((group, g) => {
          const scores = group.words[0]!.map((_, k) => {
            const at = b.slice(logProbabilities, 0, multiplyDims(k, batch), multiplyDims(k + 1, batch));
            return b.op("Gather", [at, b.integers(group.words.map((word) => word[k]!))], { axis: 1 });
          });
          const summed = scores.reduce((sum, score) => b.op("Add", [sum, score]));
          return b.op("Mul", [labelMeans(ctx, summed, group), hasCount(b, markCounts!, counts[g]!)]);
        });
        return b.op("Add", [sums.reduce((sum, part) => b.op("Add", [sum, part])), offset]);
      }),
  };
}

/** Words of one length, and the share `[C, W]` that each has in the score of its label. */
interface WordGroup {
  readonly words: readonly (readonly number[])[];
  readonly shares: readonly (readonly number[])[];
}

function groupOf(pieces: LabelPieces, count: number): WordGroup {
  const found = pieces.flatMap((words, label) =>
    words.filter(({ length }) => length === count).map((word) => ({ word, label, share: 1 / words.length })),
  );
  return {
    words: found.map(({ word }) => word),
    shares: pieces.map((_, label) => found.map((one) => (one.label === label ? one.share : 0))),
  };
}

/** `[B, W]` → `[B, C]`, and an offset for each label. */
function labelMeans(ctx: LayerContext, scores: Value, { shares }: WordGroup, offset?: Value): Value {
  const size = [shares.length, shares[0]!.length];
  return affine(ctx, scores, constant(ctx.b, "verbalizer.shares", size, shares.flat()), offset);
}

function constant(b: GraphBuilder, name: string, shape: readonly number[], values: readonly number[]): Value {
  const source: Tensor = { ...floats(shape, values), exact: Float64Array.from(values) };
  return b.initializer(name, source);
}

/** `[B, 1]`: 1 where a text has so many masks, else 0. */
function hasCount(b: GraphBuilder, counts: Value, wanted: number): Value {
  const given = b.reshape(b.op("Cast", [counts], { to: "float32" }), [counts.shape[0]!, 1]);
  const distance = (from: Value, to: Value): Value => b.op("Relu", [b.op("Sub", [from, to])]);
  const apart = b.op("Add", [distance(given, b.scalar(wanted)), distance(b.scalar(wanted), given)]);
  return distance(b.scalar(1), apart);
}

/** Logits of some words alone: `[B, E]` → `[B, W]`. */
function wordLogits(
  ctx: LayerContext,
  lmHead: LmHead,
  { vocabSize, embeddingSize }: BackboneConfig,
  features: Value,
  ids: readonly number[],
): Value {
  const { b } = ctx;
  const words = b.integers(ids);
  const rows = b.op("Gather", [ctx.weight(lmHead.table, [vocabSize, embeddingSize]), words], { axis: 0 });
  const bias = lmHead.bias
    ? b.op("Gather", [ctx.weight(lmHead.bias, [vocabSize]), words], { axis: 0 })
    : undefined;
  return affine(ctx, features, rows, bias);
}

/** Logits of all words: `[N, E]` → `[N, V]`. */
function vocabularyLogits(
  ctx: LayerContext,
  lmHead: LmHead,
  { vocabSize, embeddingSize }: BackboneConfig,
  features: Value,
): Value {
  const table = ctx.weight(lmHead.table, [vocabSize, embeddingSize]);
  return affine(ctx, features, table, lmHead.bias ? ctx.weight(lmHead.bias, [vocabSize]) : undefined);
}
