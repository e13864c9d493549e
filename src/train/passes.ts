/**
 * Numbers in the widest tensor of a layer up to which elementwise ops find most of their inputs in the cache. Beyond it
 * each token takes longer: CPU time of a step, 32 texts, cut so against whole: BERT-base with 64 tokens −12 % in int8 and
 * −10 % in fp32, MiniLM with 128 tokens −12 %. Measured with 2 MB per core. Every machine cuts alike: it is part of what a
 * seed determines.
 */
const widestTensor = 3 << 19;

/**
 * What a pass costs beside its tokens, as so many tokens: it grows with the layers, a token with what these compute, the
 * square of their width. With MiniLM (1536) a step on one text of 32 tokens takes the time of 60 to 90 tokens more than it
 * would as a part of a large batch. Where all weights are trained the cost is much the same: gradients are added up quickly.
 */
const passTokens = (width: number): number => (14_000 / width) ** 2;

/** Between cuts that cost the same, equal parts. */
const unevenness = 1e-6;

/**
 * The most examples that pass through the caches at once.
 * @param rows token rows of an example
 * @param width of the widest activations
 */
export function cachedExamples(rows: number, width: number): number {
  return Math.max(1, Math.floor(widestTensor / (rows * width)));
}

/**
 * Cuts a batch into passes so that padding and passes cost the least together, and each goes through the caches. An
 * update does not depend on it: its batch was drawn whatever the lengths of its texts.
 * @param rows token rows of each example, ascending: a pass has the greatest of its own for all
 * @param width of the widest activations
 * @param most examples of a pass
 * @returns the end of each pass
 */
export function cutPasses(rows: ArrayLike<number>, width: number, most: number): number[] {
  const overhead = passTokens(width);
  // Of the first `end` examples: the least cost, and where the last pass of it starts.
  const least = [0];
  const starts = [0];
  for (let end = 1; end <= rows.length; end++) {
    const longest = rows[end - 1]!;
    const first = end - Math.min(end, most, cachedExamples(longest, width));
    least[end] = Number.POSITIVE_INFINITY;
    for (let start = end - 1; start >= first; start--) {
      const tokens = (end - start) * longest;
      const cost = least[start]! + overhead + tokens * (1 + unevenness * tokens);
      if (cost < least[end]!) [least[end], starts[end]] = [cost, start];
    }
  }
  const ends: number[] = [];
  for (let end = rows.length; end > 0; end = starts[end]!) ends.push(end);
  return ends.reverse();
}
