import type { Dataset } from "../data/index.ts";
import type { Task } from "../tasks/index.ts";
import { itemCount, longestSequence, type Tokenizer, tokenCount } from "../text/index.ts";
import { countOf, type Finding, finding, type SplitName } from "./finding.ts";
import { LengthCounts } from "./length-counts.ts";

/** What the lengths are held against. */
export interface LengthLimits {
  readonly tokenizer: Tokenizer;
  /** Tokens per sequence in the run: `training.maxLength`. */
  readonly maxLength: number;
  /** The most that the backbone takes behind the prompt. */
  readonly longest: number;
}

/** Lengths of one split's sequences in tokens, special tokens included. */
export interface SplitLengths {
  readonly split: SplitName;
  readonly sequences: number;
  readonly median: number;
  /** 95 % are at most this long. */
  readonly p95: number;
  readonly max: number;
}

/** Lengths of a data set's sequences. */
export interface Lengths {
  readonly splits: readonly SplitLengths[];
  /** How many sequences of all splits would not fit at a greatest length. */
  readonly longer: readonly {
    readonly maxLength: number;
    readonly sequences: number;
    readonly share: number;
  }[];
  /** Sequences of the training data by length: `from ≤ tokens < to`. */
  readonly histogram: readonly { readonly from: number; readonly to: number; readonly sequences: number }[];
  readonly maxLength: number;
  readonly longest: number;
}

/** Greatest lengths that are tried, up to what the backbone takes. */
const usualLengths = [32, 64, 128, 256, 512, 1024, 2048, 4096];
/** Longer than any text: nothing is cut. */
const unlimited = 1_000_000;
const histogramBins = 40;
const encodedAtOnce = 16_384;
/** From this share on, cutting deserves a warning. */
const notableShare = 0.01;

/**
 * Measures every sequence as the task makes it, uncut.
 * @returns also the lengths of the training sequences, and the number of training items
 * @throws DATA_INVALID if the task cannot take an example
 */
export async function measureLengths<E>(
  data: Dataset<E>,
  task: Task<E>,
  limits: LengthLimits,
): Promise<{ lengths: Lengths; findings: Finding[]; train: LengthCounts; items: number }> {
  const { tokenizer, maxLength, longest } = limits;
  const measured: { split: SplitName; counts: LengthCounts }[] = [];
  const all = new LengthCounts();
  let cut = 0;
  let items = 0;
  for (const split of ["train", "dev", "test"] as const) {
    if (data[split].length === 0) continue;
    const counts = new LengthCounts();
    for (const examples of partsOf(data[split], task)) {
      const encoded = await task.encode(examples, tokenizer, unlimited);
      const { sequences } = encoded;
      if (split === "train") items += itemCount(encoded);
      for (let i = 0; i < sequences.count; i++) counts.add(tokenCount(sequences, i));
      // Whether a long text loses words or is read in windows is the task's affair: ask it.
      if (longestSequence(sequences) > maxLength) {
        cut += (await task.encode(examples, tokenizer, maxLength)).sequences.truncated;
      }
    }
    measured.push({ split, counts });
    for (const [tokens, sequences] of counts.entries()) all.add(tokens, sequences);
  }
  const tried = [...usualLengths.filter((length) => length < longest), longest, maxLength];
  const lengths: Lengths = {
    splits: measured.map(({ split, counts }) => ({
      split,
      sequences: counts.total,
      median: counts.quantile(0.5),
      p95: counts.quantile(0.95),
      max: counts.max,
    })),
    longer: [...new Set(tried)]
      .sort((a, b) => a - b)
      .map((length) => ({
        maxLength: length,
        sequences: all.longerThan(length),
        share: all.total === 0 ? 0 : all.longerThan(length) / all.total,
      })),
    histogram: histogramOf(measured[0]?.counts ?? new LengthCounts()),
    maxLength,
    longest,
  };
  return {
    lengths,
    findings: lengthFindings(lengths, all.longerThan(maxLength), cut, all.total),
    train: measured.find(({ split }) => split === "train")?.counts ?? new LengthCounts(),
    items,
  };
}

function lengthFindings(
  { maxLength, longest, splits }: Lengths,
  longer: number,
  cut: number,
  total: number,
): Finding[] {
  if (longer === 0) return [];
  const max = Math.max(...splits.map((split) => split.max));
  if (cut === 0) {
    const message = `${countOf(longer, "sequence", total)} longer than maxLength ${maxLength}, read in several windows.`;
    return [finding("info", "windows", message)];
  }
  const advice =
    maxLength >= longest
      ? `The backbone takes no more than ${longest} tokens behind this prompt: shorten the texts or choose another backbone.`
      : `Raise training.maxLength, up to ${Math.min(max, longest)}, if what decides stands at the end.`;
  const message = `${countOf(cut, "sequence", total)} longer than maxLength ${maxLength}, which are cut; the longest has ${max} tokens.`;
  return [finding(cut / total >= notableShare ? "warning" : "info", "cut-texts", message, { advice })];
}

/** Only lengths are kept, so few examples are encoded at once, where the task does not compare them. */
function* partsOf<E>(examples: readonly E[], { comparesExamples = false }: Task<E>): Generator<readonly E[]> {
  if (comparesExamples) yield examples;
  else {
    for (let at = 0; at < examples.length; at += encodedAtOnce) yield examples.slice(at, at + encodedAtOnce);
  }
}

function histogramOf(lengths: LengthCounts): Lengths["histogram"] {
  const { max } = lengths;
  let width = 1;
  while ((max + 1) / width > histogramBins) width *= 2;
  const counts = new Array<number>(Math.floor(max / width) + 1).fill(0);
  for (const [tokens, sequences] of lengths.entries()) counts[Math.floor(tokens / width)]! += sequences;
  return counts.map((sequences, i) => ({ from: i * width, to: (i + 1) * width, sequences }));
}
