import type { Dataset } from "../data/index.ts";
import type { Task } from "../tasks/index.ts";
import { itemCount, type Tokenizer, tokenCount } from "../text/index.ts";
import { countOf, type Finding, finding, type SplitName } from "./finding.ts";

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
 * @returns also the training sequences' tokens, ascending, and the number of training items
 * @throws DATA_INVALID if the task cannot take an example
 */
export async function measureLengths<E>(
  data: Dataset<E>,
  task: Task<E>,
  limits: LengthLimits,
): Promise<{ lengths: Lengths; findings: Finding[]; train: Int32Array; items: number }> {
  const { tokenizer, maxLength, longest } = limits;
  const measured: { split: SplitName; tokens: Int32Array }[] = [];
  let cut = 0;
  let items = 0;
  for (const split of ["train", "dev", "test"] as const) {
    if (data[split].length === 0) continue;
    const parts: Int32Array[] = [];
    for (const examples of partsOf(data[split], task)) {
      const encoded = await task.encode(examples, tokenizer, unlimited);
      const { sequences } = encoded;
      if (split === "train") items += itemCount(encoded);
      const tokens = Int32Array.from({ length: sequences.count }, (_, i) => tokenCount(sequences, i));
      parts.push(tokens);
      // Whether a long text loses words or is read in windows is the task's affair: ask it.
      if (tokens.some((count) => count > maxLength)) {
        cut += (await task.encode(examples, tokenizer, maxLength)).sequences.truncated;
      }
    }
    measured.push({ split, tokens: joined(parts).sort() });
  }
  const all = joined(measured.map(({ tokens }) => tokens)).sort();
  const tried = [...usualLengths.filter((length) => length < longest), longest, maxLength];
  const lengths: Lengths = {
    splits: measured.map(({ split, tokens }) => ({
      split,
      sequences: tokens.length,
      median: quantile(tokens, 0.5),
      p95: quantile(tokens, 0.95),
      max: quantile(tokens, 1),
    })),
    longer: [...new Set(tried)]
      .sort((a, b) => a - b)
      .map((length) => ({
        maxLength: length,
        sequences: countLonger(all, length),
        share: all.length === 0 ? 0 : countLonger(all, length) / all.length,
      })),
    histogram: histogramOf(measured[0]?.tokens ?? new Int32Array()),
    maxLength,
    longest,
  };
  return {
    lengths,
    findings: lengthFindings(lengths, countLonger(all, maxLength), cut, all.length),
    train: measured.find(({ split }) => split === "train")?.tokens ?? new Int32Array(),
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

/** The smallest value that the given share of the sorted values does not exceed. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

/** Only lengths are kept, so few examples are encoded at once, where the task does not compare them. */
function* partsOf<E>(examples: readonly E[], { comparesExamples = false }: Task<E>): Generator<readonly E[]> {
  if (comparesExamples) yield examples;
  else {
    for (let at = 0; at < examples.length; at += encodedAtOnce) yield examples.slice(at, at + encodedAtOnce);
  }
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function countLonger(sorted: Int32Array, length: number): number {
  const first = sorted.findIndex((tokens) => tokens > length);
  return first < 0 ? 0 : sorted.length - first;
}

function histogramOf(sorted: Int32Array): Lengths["histogram"] {
  const max = sorted.at(-1) ?? 0;
  let width = 1;
  while ((max + 1) / width > histogramBins) width *= 2;
  const counts = new Int32Array(Math.floor(max / width) + 1);
  for (const tokens of sorted) counts[Math.floor(tokens / width)]!++;
  return [...counts].map((sequences, i) => ({ from: i * width, to: (i + 1) * width, sequences }));
}
