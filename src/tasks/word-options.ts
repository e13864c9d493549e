/** What every task on words may be told. */
import * as z from "zod";
import { closest, PtuningError } from "../core/index.ts";
import { type TagScheme, tagRules } from "../data/portable.ts";
import { countedChooser, countTags, type TagCounts } from "./tag-counts.ts";
import { type TagChooser, type TagDecoding, tagChoosers } from "./tag-path.ts";

/** Options of every task on words. */
export interface WordTaskOptions {
  /** The tags that are learnt, in IOB2 and in the order of the logits: `O`, `B-…`, `I-…`; see {@link spanLabels}. */
  readonly labels: readonly string[];
  /** How predicted tags are written; gold tags may be in any scheme. Default IOB2. */
  readonly scheme?: TagScheme;
  /** Tokens that neighbouring windows of a long sentence share. Default 32. */
  readonly stride?: number;
  /** How tags are chosen from what the head says of each word. Default `constrained`. */
  readonly decoding?: TagDecoding;
  /**
   * How often the tags of the training data stand behind one another ({@link countTags}), which then counts beside what the head
   * says. Left out, every sequence that spells spans is as good as another.
   */
  readonly transitions?: TagCounts;
  /**
   * How much that counts: the weight of the logarithm of a tag's share behind another, beside logits. `"tuned"`, the default, takes
   * the one with the best F1 on dev.
   */
  readonly transitionWeight?: number | "tuned";
}

/** Settings of a configuration, which leave to the data what it says. */
export interface WordSettings extends Omit<WordTaskOptions, "labels" | "transitions"> {
  readonly transitions?: "rules" | "counted";
  readonly preset?: string;
}

/** The weights that are tried on dev. */
const triedWeights = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1];
/** Where there is nothing to tune it on. On CoNLL04, 0.1 to 0.5 are better than 0, and 1 is worse. */
export const plainWeight = 0.2;

const decoding = z.enum(["constrained", "argmax"]);

/** Keys of every task on words in a configuration. */
export const wordSettings: z.core.$ZodLooseShape = {
  headDropout: z
    .union([z.number().min(0).lt(1), z.literal("hidden")])
    .exactOptional()
    .describe("dropout before the linear layer"),
  scheme: z
    .enum(["IOB1", "IOB2", "IOBES", "BILOU"])
    .exactOptional()
    .describe("how predicted tags are written; gold tags may be in any scheme"),
  stride: z
    .int()
    .nonnegative()
    .max(100_000)
    .exactOptional()
    .describe("tokens that neighbouring windows of a long sentence share"),
  decoding: decoding
    .exactOptional()
    .describe("constrained: the best sequence of tags that spell spans; argmax: each word's best tag"),
  transitions: z
    .enum(["rules", "counted"])
    .exactOptional()
    .describe(
      "rules: all sequences that spell spans are alike; counted: those that training data has often come first",
    ),
  transitionWeight: z
    .union([z.number().min(0).max(100), z.literal("tuned")])
    .exactOptional()
    .describe("how much counted transitions weigh beside logits; tuned: the best F1 on dev"),
};

/** The same in adapters. */
export const savedWordSettings: z.core.$ZodLooseShape = {
  ...wordSettings,
  decoding: decoding.default("argmax"),
  transitions: z.record(z.string(), z.record(z.string(), z.int().nonnegative())).exactOptional(),
};

/** What the settings and the training data come to; where another implementation is followed, each word's best tag as there. */
export function resolveWords(
  { preset, transitions, ...settings }: WordSettings,
  train: Iterable<{ readonly tags?: readonly string[] }>,
): Omit<WordTaskOptions, "labels"> {
  return {
    ...(preset !== undefined && { decoding: "argmax" }),
    ...settings,
    ...(transitions === "counted" && { transitions: countTags(train) }),
  };
}

/** Options of every task on words, complete. */
export type CompleteWordOptions = Required<Omit<WordTaskOptions, "transitions">> & {
  readonly transitions: TagCounts | undefined;
};

/**
 * Completes and checks options.
 * @throws OPTION_INVALID naming the option
 */
export function checkWordOptions({
  labels,
  scheme = "IOB2",
  stride = 32,
  decoding = "constrained",
  transitions,
  transitionWeight: weight,
}: WordTaskOptions): CompleteWordOptions {
  const invalid = (text: string, hint?: string): PtuningError =>
    new PtuningError("OPTION_INVALID", text, hint === undefined ? {} : { hint });
  const known = new Set(labels);
  const isTag = (label: string): boolean => label === "O" || /^[BI]-./.test(label);
  if (!known.has("O") || known.size < 2 || known.size !== labels.length || !labels.every(isTag)) {
    throw invalid(
      `labels: expected O and different tags B-… and I-…, got ${JSON.stringify(labels.slice(0, 10))}.`,
      "spanLabels makes them from tagged examples.",
    );
  }
  if (!Number.isInteger(stride) || stride < 0) {
    throw invalid(`stride: expected a number of tokens, got ${stride}.`);
  }
  if (!Object.hasOwn(tagChoosers, decoding)) {
    const names = Object.keys(tagChoosers);
    const near = closest(decoding, names);
    throw invalid(
      `decoding: expected ${names.join(" or ")}, got "${decoding}".`,
      near && `Did you mean "${near}"?`,
    );
  }
  if (transitions !== undefined && decoding !== "constrained") {
    throw invalid(
      `transitions: expected none where each word's best tag is taken, got counted ones.`,
      "decoding: constrained looks at sequences.",
    );
  }
  if (transitions === undefined && weight !== undefined) {
    throw invalid(
      `transitionWeight: expected none without counted transitions, got ${weight}.`,
      "transitions: counted takes them from the training data.",
    );
  }
  if (weight !== undefined && weight !== "tuned" && !(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
    throw invalid(`transitionWeight: expected "tuned" or a number from 0, got ${weight}.`);
  }
  return { labels, scheme, stride, decoding, transitions, transitionWeight: weight ?? "tuned" };
}

/** How a task chooses tags: the ways to compare on dev, with their weights where these are tuned, and the usual one. */
export function waysOf({
  labels,
  decoding,
  transitions,
  transitionWeight: weight,
}: Pick<CompleteWordOptions, "labels" | "decoding" | "transitions" | "transitionWeight">): {
  readonly ways: readonly (() => TagChooser)[];
  readonly weights: readonly number[];
  readonly usual: () => TagChooser;
} {
  const rules = tagRules(labels, "IOB2");
  if (transitions === undefined) {
    const usual = (): TagChooser => tagChoosers[decoding](labels.length, rules);
    return { ways: [usual], weights: [], usual };
  }
  const withWeight = countedChooser(transitions, labels, rules);
  if (weight !== "tuned") return { ways: [withWeight(weight)], weights: [], usual: withWeight(weight) };
  return { ways: triedWeights.map(withWeight), weights: triedWeights, usual: withWeight(plainWeight) };
}
