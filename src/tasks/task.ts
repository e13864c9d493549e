import type { Architecture, BackboneConfig } from "../backbones/index.ts";
import type { TensorMap } from "../core/index.ts";
import type { ExampleKind, ReadOptions } from "../data/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import type { Head } from "../heads/index.ts";
import type { Scores } from "../metrics/index.ts";
import type { TextInput, Tokenizer, TokenSequences } from "../text/index.ts";
import type { Reviewer } from "./review.ts";

/**
 * Examples as token sequences, with what the task needs to score them. An example has one sequence or several:
 * the windows of a long text, the alternatives of a choice.
 */
export interface Encoded {
  /** Number of examples. */
  readonly count: number;
  readonly sequences: TokenSequences;
  /**
   * Where sequences must be trained together: item `i` is the sequences `itemStarts[i] … itemStarts[i + 1] − 1`.
   * Left out, each sequence is an item of its own.
   */
  readonly itemStarts?: Int32Array;
  /** Number of the example that each sequence is of. Left out, every example has as many, one after another. */
  readonly owners?: Int32Array;
}

/** For each encoded example whether something of it was cut to the greatest length; reading it in windows cuts nothing. */
export function cutExamples({ count, sequences, owners }: Encoded): boolean[] {
  const each = sequences.count / Math.max(1, count);
  const cut = new Array<boolean>(count).fill(false);
  for (let i = 0; i < sequences.count; i++) {
    if (sequences.cut[i] === 1) cut[owners?.[i] ?? Math.floor(i / each)] = true;
  }
  return cut;
}

/** What one pass computes: some sequences, padded to one length. */
export interface PassShape {
  /** Numbers of the sequences; those of an item stand together. */
  readonly rows: Int32Array;
  /** S: positions that each is padded to. */
  readonly length: number;
}

/** The logits of one pass, as the head lays them out. */
export interface HeadOutput extends PassShape {
  readonly logits: ArrayLike<number>;
}

/** Scores of a set of examples, and whether the model has stopped telling them apart. */
export interface Evaluation {
  readonly scores: Scores;
  /** Mean loss, weighted as in training. */
  readonly loss: number;
  /** One class only was predicted, although the gold labels have several. */
  readonly collapsed: boolean;
  /** Options of the task that suit these examples best, such as a threshold; see {@link Task.tune}. */
  readonly tuned?: TunedOptions;
  /** What the user should know of how these were found, a sentence each. */
  readonly remarks?: readonly string[];
}

/** Options of a task that an evaluation found. */
export type TunedOptions = Readonly<Record<string, unknown>>;

/** Gathers logits pass by pass, in any order. */
export interface Evaluator {
  add(output: HeadOutput): void;
  result(): Evaluation;
}

/** Gathers logits pass by pass, in any order, and turns them into one prediction per example. */
export interface Decoder<P = unknown> {
  add(output: HeadOutput): void;
  finish(): P[];
}

/** An answer that looks at no example: what a result has to beat. */
export interface TrivialAnswer<N extends Encoded = Encoded> {
  /** For people: `majority class`. */
  readonly name: string;
  /** The logits that a head would give for it, laid out as the head's. */
  logits(encoded: N, pass: PassShape): ArrayLike<number>;
}

/** Examples as a plain linear classifier wants them; its scores per class then count as logits. */
export interface LinearView<N extends Encoded = Encoded> {
  readonly classes: number;
  /** One text or pair per sequence. */
  texts(encoded: N): readonly TextInput[];
  /** Class number of each sequence. */
  gold(encoded: N): ArrayLike<number>;
}

/** The backbone that a task is put on, and what it may be asked. */
export interface TaskGround {
  readonly backbone: {
    readonly id: string;
    readonly architecture: Architecture;
    readonly config: BackboneConfig;
    readonly tokenizer: Tokenizer;
  };
  /** Logits of the untouched backbone under a head, one row per sequence. */
  logits(head: Head, sequences: TokenSequences): Promise<Float32Array>;
}

/** One line of a table of predictions: a title and a cell per column. */
export type TableRow = Readonly<Record<string, string | number>>;

/** A column of a table of predictions. */
export interface AnswerColumn {
  readonly title: string;
  /** Columns of numbers that are no counts: digits behind the point, for people. */
  readonly digits?: number;
}

/** Training settings that suit a task, where they differ from those of every run. */
export interface TaskDefaults {
  /** Tokens per sequence; what fits beside the prompt, if that is less. */
  readonly maxLength?: number;
  /** Examples per pass, unless the user says so or limits the memory. */
  readonly microBatchSize?: number;
}

/**
 * What is learnt: how examples become tokens and targets, what is on top of the backbone, what is minimised,
 * and how logits become answers and scores. A value that answers for itself: no other code knows which task
 * it has.
 *
 * @typeParam E raw example, as a reader gives it
 * @typeParam N encoded examples
 * @typeParam P prediction for one example: plain data
 */
export interface Task<E = unknown, N extends Encoded = Encoded, P = unknown> {
  /** As in configs and adapters: `text-classification`. */
  readonly type: string;
  /** Every setting, resolved; read back by `taskFrom`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The kind of examples that it is about. */
  readonly reads: ExampleKind;
  readonly head: Head;
  /** How many pseudo-tokens its sequences hold, which the method must bring; left out, none. */
  readonly pseudoTokens?: number;
  /** Names of the scores that evaluations give. */
  readonly scores: readonly string[];
  /** Score that decides which state is best, unless the user says otherwise. */
  readonly selectBy: string;
  /** Scores of which less is better; of all others more is. */
  readonly lowerIsBetter?: readonly string[];
  /** Scores that no state is chosen by: one that says the same of everything may have the best of them. */
  readonly sideScores?: readonly string[];
  readonly defaults?: TaskDefaults;
  /**
   * @param maxLength greatest number of tokens per sequence, special ones included
   * @throws DATA_INVALID if an example does not fit the task
   */
  encode(examples: readonly E[], tokenizer: Tokenizer, maxLength: number): Promise<N>;
  /**
   * The same task for one backbone: what depends on its vocabulary is settled, and stands in the options. Must come
   * before the head is built. Absent where nothing depends on it; a settled task gives itself.
   * @throws BACKBONE_UNSUPPORTED, OPTION_INVALID
   */
  settle?(ground: TaskGround): Promise<Task<E, N, P>>;
  /** Weight of the sequences `rows` in the mean loss, added up. */
  weight(encoded: N, rows: Int32Array): number;
  /** Targets of a pass, in the units that {@link loss} wants. */
  targets(encoded: N, pass: PassShape): TensorMap;
  /** Adds the target inputs and the loss, summed over the pass by weight. */
  loss(b: GraphBuilder, logits: Value): Value;
  /** Scores predictions against the gold answers in `encoded`. */
  evaluator(encoded: N): Evaluator;
  decoder(encoded: N): Decoder<P>;
  /** Looks at each example for the report of a run; absent where there is nothing to tell beside the scores. */
  reviewer?(encoded: N): Reviewer;
  /**
   * The same task with options that an evaluation found; what it did not find (there is no dev set) is fixed at its
   * default. Absent where there is nothing to tune.
   */
  tune?(options: TunedOptions): Task<E, N, P>;
  /**
   * The same task whose head also reads each text's vector by the untouched backbone (`Head.bare`); absent where its head has no
   * such form.
   */
  blended?(): Task<E, N, P>;
  /** The best answer that looks at no example, learnt from training examples; absent where there is none. */
  trivial?(train: N): TrivialAnswer<N>;
  /** What a linear classifier on texts can learn of it; absent where that makes no sense. */
  readonly linear?: LinearView<N>;
  /** How files must be read for it, beside what a user says of a file. */
  readonly reading?: ReadOptions;
  /** A text and nothing else as an example, for predictions from a command line; absent where that makes no sense. */
  fromText?(text: string, pair?: string): E;
  /** The titles of {@link tabulate}, in order, none twice. */
  columns(detailed: boolean): readonly AnswerColumn[];
  /** A prediction as lines of a table. @param detailed also with the scores of what was not chosen */
  tabulate(example: E, prediction: P, detailed: boolean): readonly TableRow[];
  /** A prediction's keys where there was nothing to answer. */
  readonly blank: Readonly<Record<string, unknown>>;
  /** Whether predictions of a call depend on one another, so that all examples must be there before the first answer. */
  readonly comparesExamples?: boolean;
}
