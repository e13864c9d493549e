import { decodeTags } from "../data/portable.ts";
import { SpanMetrics } from "../metrics/index.ts";
import { scoreTable } from "./label-review.ts";
import { argmax, logSumExp } from "./logits.ts";
import type { Reviewer } from "./review.ts";
import { ChosenTags } from "./word-tags.ts";
import { type EncodedWords, wordLogits } from "./word-windows.ts";
import type { TaggedWords } from "./words.ts";

/** Scores of every type, and of each sentence the mean loss of its words and the spans. */
export function wordReviewer<E extends TaggedWords>(
  encoded: EncodedWords & { readonly examples: readonly E[] },
  labels: readonly string[],
): Reviewer {
  const tags = new ChosenTags(encoded, labels);
  const losses = new Float64Array(tags.chosen.length);
  return {
    add(output) {
      for (const [word, logits] of wordLogits(encoded, output, labels.length)) {
        tags.chosen[word] = argmax(logits);
        const gold = encoded.labels[word]!;
        if (gold >= 0) losses[word] = logSumExp(logits) - logits[gold]!;
      }
    },
    finish() {
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
