import { decodeTags } from "../data/portable.ts";
import { SpanMetrics } from "../metrics/index.ts";
import { scoreTable } from "./label-review.ts";
import type { Reviewer } from "./review.ts";
import { ChosenTags, type TagChoice, wordLogSum } from "./word-tags.ts";
import type { EncodedWords } from "./word-windows.ts";
import type { TaggedWords } from "./words.ts";

/** Scores of every type, and of each sentence the mean loss of its words and the spans. */
export function wordReviewer<E extends TaggedWords>(
  encoded: EncodedWords & { readonly examples: readonly E[] },
  choice: TagChoice,
): Reviewer {
  const losses = new Float64Array(encoded.wordStarts.at(-1)!);
  const tags = new ChosenTags(encoded, choice, (word, _, logits, at) => {
    const gold = encoded.labels[word]!;
    if (gold >= 0) losses[word] = wordLogSum(logits, at, choice.labels.length) - logits[at + gold]!;
  });
  return {
    add: (output) => tags.add(output),
    finish() {
      tags.finish();
      const metrics = new SpanMetrics();
      const examples = encoded.examples.flatMap(({ words }, index) => {
        const gold = encoded.gold[index];
        if (gold === undefined) return [];
        const predicted = tags.of(index);
        metrics.add(predicted, gold);
        const own = losses.subarray(encoded.wordStarts[index], encoded.wordStarts[index + 1]);
        const loss = own.reduce((sum, value) => sum + value, 0) / Math.max(1, own.length);
        return [{ index, loss, gold: spansText(words, gold), predicted: spansText(words, predicted) }];
      });
      const { types } = metrics.report();
      return {
        matrices: [],
        tables: [scoreTable("Types", Object.keys(types), Object.values(types))],
        examples,
      };
    },
  };
}

/** `Loc: New York; Per: Ada`. */
function spansText(words: readonly string[], tags: readonly string[]): string {
  const spans = decodeTags(tags).map(
    ({ type, start, end }) => `${type}: ${words.slice(start, end).join(" ")}`,
  );
  return spans.join("; ") || "nothing";
}
