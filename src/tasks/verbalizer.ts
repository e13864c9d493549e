/** Text classification by a template and label words, instead of a head of its own. */
import * as z from "zod";
import { PtuningError } from "../core/index.ts";
import { type Head, type LabelPieces, pieceCounts, verbalizerHead } from "../heads/index.ts";
import { type Cloze, encodeCloze, parseCloze, type TextInput, type Tokenizer } from "../text/portable.ts";
import type { TaskGround } from "./task.ts";
import type { TextSequences } from "./text-task.ts";

/** Settings of a template, and of a verbalizer behind it. */
export interface VerbalizerOptions {
  /** `verbalizer`: the backbone's masked-LM head and label words stand for a head that is learnt. Default `linear`. */
  readonly head?: "linear" | "verbalizer";
  /** What stands around the text: `{text} It was {mask}.` for single texts, `{first} ? {mask} , {second}` for pairs. */
  readonly template?: string;
  /** Words of each label; default the label itself. */
  readonly words?: Readonly<Record<string, string | readonly string[]>>;
  /** Takes what the untouched backbone says of an empty text off each label's score. Default false. */
  readonly calibrate?: boolean;
  /** Pieces of each label's words in the backbone's vocabulary; found when the task is settled. */
  readonly pieces?: LabelPieces;
  /** Added to each label's score; found when the task is settled. */
  readonly calibration?: readonly number[];
}

/** Keys of a configuration. */
export const verbalizerSettings: z.core.$ZodLooseShape = {
  head: z
    .enum(["linear", "verbalizer"])
    .exactOptional()
    .describe("a linear layer that is learnt, or the backbone's masked-LM head with label words"),
  template: z
    .string()
    .min(1)
    .exactOptional()
    .describe("what stands around the text: {text} It was {mask}. or {first} ? {mask} , {second}"),
  words: z
    .record(z.string(), z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]))
    .exactOptional()
    .describe("label words of a verbalizer, one or several per label; default the label itself"),
  calibrate: z
    .boolean()
    .exactOptional()
    .describe("take what the untouched backbone says of an empty text off each label"),
};

/** Ids of a vocabulary. */
const pieces = z
  .array(
    z
      .int()
      .nonnegative()
      .max(2 ** 31 - 1),
  )
  .min(1)
  .max(100);

/** What adapters hold beside that. */
export const savedVerbalizer: z.core.$ZodLooseShape = {
  pieces: z.array(z.array(pieces).min(1).max(1000)).min(1).max(100_000).exactOptional(),
  calibration: z.array(z.number()).max(100_000).exactOptional(),
};

/** Templates where none is given. */
export const usualTemplates = {
  single: "{text} It was {mask}.",
  pair: "{first} ? {mask} , {second}",
} as const;

/** What a template and a verbalizer make of text classification. */
export interface Verbalized {
  /** Absent where the head is a linear one. */
  readonly head?: Head;
  readonly sequences: TextSequences;
  readonly pseudoTokens: number;
  /** Every setting, resolved. */
  readonly options: VerbalizerOptions;
  /** Absent where nothing depends on the backbone. */
  settle?(ground: TaskGround): Promise<VerbalizerOptions>;
}

/**
 * Reads the settings; `undefined` where there is neither a template nor a verbalizer.
 * @throws OPTION_INVALID
 */
export function verbalized(labels: readonly string[], options: VerbalizerOptions): Verbalized | undefined {
  const { head = "linear", template } = options;
  if (head === "linear") {
    const foreign = (["words", "calibrate"] as const).find((key) => options[key] !== undefined);
    if (foreign !== undefined) throw invalid(foreign, "head verbalizer beside it, got head linear");
    return template === undefined ? undefined : withLinearHead(template);
  }
  if (head !== "verbalizer") throw invalid("head", `linear or verbalizer, got "${head}"`);
  if (template === undefined) throw invalid("template", `one such as "${usualTemplates.single}", got none`);
  const cloze = parseCloze(template);
  if (!cloze.hasMask) throw invalid("template", `{mask} once, as the verbalizer reads it, in "${template}"`);
  const words = wordsOf(labels, options.words ?? {});
  const calibrate = options.calibrate ?? false;
  const resolved = { head, template, words, calibrate };
  const settled = { ...resolved, ...(options.pieces && pick(options, labels.length)) };
  return {
    ...(options.pieces
      ? {
          head: verbalizerHead(options.pieces, settled.calibration),
          sequences: masked(cloze, options.pieces),
        }
      : { head: unsettledHead, sequences: unsettledSequences(cloze, labels, words) }),
    pseudoTokens: cloze.pseudoTokens,
    options: settled,
    settle: async (ground) =>
      options.pieces ? settled : { ...resolved, ...(await settle(ground, cloze, labels, words, calibrate)) },
  };
}

/** Pieces and calibration as an adapter holds them. */
function pick(
  { pieces, calibration }: VerbalizerOptions,
  labels: number,
): Pick<VerbalizerOptions, "pieces" | "calibration"> {
  const counts = [pieces!.length, calibration?.length ?? labels];
  if (counts.some((count) => count !== labels) || pieces!.some((words) => words.length === 0)) {
    throw invalid("pieces", `those of ${labels} labels, got ${counts.join(" and ")}`);
  }
  return { pieces: pieces!, ...(calibration && { calibration }) };
}

function withLinearHead(template: string): Verbalized {
  const cloze = parseCloze(template);
  if (cloze.hasMask)
    throw invalid("template", `no {mask} with head linear, which reads none, in "${template}"`);
  const sequences: TextSequences = {
    perText: 1,
    encode: (texts, tokenizer, maxLength) => encodeCloze(tokenizer, cloze, texts, { maxLength }),
  };
  return { sequences, pseudoTokens: cloze.pseudoTokens, options: { template } };
}

function wordsOf(
  labels: readonly string[],
  given: Readonly<Record<string, string | readonly string[]>>,
): Readonly<Record<string, readonly string[]>> {
  const unknown = Object.keys(given).find((label) => !labels.includes(label));
  if (unknown !== undefined) {
    throw invalid(
      "words",
      `words of the labels ${labels.slice(0, 10).join(", ")}, got those of "${unknown}"`,
    );
  }
  return Object.fromEntries(
    labels.map((label) => [label, [Object.hasOwn(given, label) ? given[label]! : label].flat()]),
  );
}

const masked = (cloze: Cloze, pieces: LabelPieces): TextSequences => {
  const masks = pieceCounts(pieces);
  return {
    perText: masks.length,
    encode: (texts, tokenizer, maxLength) => encodeCloze(tokenizer, cloze, texts, { maxLength, masks }),
  };
};

/** Sequences of a task that is not settled: what checks of data look at. */
const unsettledSequences = (
  cloze: Cloze,
  labels: readonly string[],
  words: Readonly<Record<string, readonly string[]>>,
): TextSequences => ({
  perText: 1,
  async encode(texts, tokenizer, maxLength) {
    const pieces = await piecesOf(tokenizer, cloze, labels, words);
    return masked(cloze, pieces).encode(texts, tokenizer, maxLength);
  },
});

const unsettledHead: Head = {
  ...verbalizerHead([[[0]]]),
  build() {
    throw new Error("the task must be settled on its backbone before its head is built.");
  },
};

/**
 * Label words as pieces: with a blank in front where the template has one before its mask.
 * @throws OPTION_INVALID for a word that the vocabulary cannot spell, or not in one piece where answers have one, and for
 * labels that have the same words
 */
async function piecesOf(
  tokenizer: Tokenizer,
  { blankBeforeMask }: Cloze,
  labels: readonly string[],
  words: Readonly<Record<string, readonly string[]>>,
): Promise<LabelPieces> {
  const { unk, start } = tokenizer.specialTokens;
  const pieces: number[][][] = [];
  const owners = new Map<string, string>();
  for (const label of labels) {
    const own: number[][] = [];
    for (const word of words[label]!) {
      const { ids } = await tokenizer.encodeTexts([`${blankBeforeMask ? " " : ""}${word.trim()}`]);
      if (ids.length === 0 || (unk !== undefined && ids.includes(unk))) {
        throw invalid(`words.${label}`, `words that the backbone's vocabulary can spell, got "${word}"`);
      }
      if (start !== undefined && ids.length > 1) {
        throw invalid(
          `words.${label}`,
          `words of one piece, as the backbone opens one answer at a time, got "${word}" of ${ids.length}`,
        );
      }
      const key = ids.join(" ");
      const owner = owners.get(key);
      if (owner !== undefined) {
        throw invalid(`words.${label}`, `words that no label has yet, got "${word}", which "${owner}" has`);
      }
      owners.set(key, label);
      own.push([...ids]);
    }
    pieces.push(own);
  }
  return pieces;
}

async function settle(
  ground: TaskGround,
  cloze: Cloze,
  labels: readonly string[],
  words: Readonly<Record<string, readonly string[]>>,
  calibrate: boolean,
): Promise<Pick<VerbalizerOptions, "pieces" | "calibration">> {
  const { tokenizer, config, architecture } = ground.backbone;
  if (architecture.lmHead.answers === "first" && tokenizer.specialTokens.start === undefined) {
    throw new PtuningError(
      "BACKBONE_UNSUPPORTED",
      `backbone ${ground.backbone.id}: expected a token that opens answers in its vocabulary, found none.`,
      {
        hint: "Choose task.head: linear, or complete the folder with the tokenizer that the checkpoint came with.",
      },
    );
  }
  const pieces = await piecesOf(tokenizer, cloze, labels, words);
  if (!calibrate) return { pieces };
  const empty: TextInput = cloze.texts === 1 ? "" : ["", ""];
  const options = { maxLength: architecture.maxLength(config, 0), masks: pieceCounts(pieces) };
  // The untouched backbone knows no pseudo-tokens.
  const sequences = await encodeCloze(tokenizer, cloze, [empty], { ...options, withoutPseudoTokens: true });
  const logits = await ground.logits(verbalizerHead(pieces), sequences);
  const scores = labels.map((_, c) =>
    options.masks.reduce((sum, __, s) => sum + logits[s * labels.length + c]!, 0),
  );
  return { pieces, calibration: scores.map((score) => -score) };
}

function invalid(key: string, expected: string): PtuningError {
  return new PtuningError("OPTION_INVALID", `${key}: expected ${expected}.`);
}
