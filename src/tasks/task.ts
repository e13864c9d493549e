import type { TensorMap } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import type { Head } from "../heads/index.ts";
import type { Scores } from "../metrics/index.ts";
import type { Tokenizer, TokenSequences } from "../text/index.ts";

/** Examples as token sequences, with what the task needs to score them. */
export interface Encoded {
  readonly sequences: TokenSequences;
}

/** Scores of a set of examples, and whether the model has stopped telling them apart. */
export interface Evaluation {
  readonly scores: Scores;
  /** Mean loss per example. */
  readonly loss: number;
  /** One class only was predicted, although the gold labels have several. */
  readonly collapsed: boolean;
}

/** Gathers logits batch by batch. */
export interface Evaluator<N extends Encoded = Encoded> {
  /** @param logits of the given rows, as the head lays them out */
  add(logits: ArrayLike<number>, encoded: N, rows: ArrayLike<number>): void;
  result(): Evaluation;
}

/**
 * What is learnt: how examples become tokens and targets, what is on top of the backbone, what is minimised,
 * and how logits become answers and scores. A value that answers for itself: no other code knows which task
 * it has.
 *
 * @typeParam E raw example, as a reader gives it
 * @typeParam N encoded examples
 * @typeParam P prediction for one example
 */
export interface Task<E = unknown, N extends Encoded = Encoded, P = unknown> {
  /** As in configs and adapters: `text-classification`. */
  readonly type: string;
  /** Every setting, resolved; read back by `taskFrom`. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly head: Head;
  /** Score that decides which state is best, unless the user says otherwise. */
  readonly selectBy: string;
  /** @throws DATA_INVALID if an example does not fit the task */
  encode(examples: readonly E[], tokenizer: Tokenizer, maxLength: number): Promise<N>;
  /**
   * Targets of a batch, in the units that {@link loss} wants, and the weight of each of its rows in the mean
   * loss, added up.
   */
  targets(encoded: N, rows: ArrayLike<number>): { readonly feeds: TensorMap; readonly weight: number };
  /** Adds the target inputs and the loss, summed over the batch by weight. */
  loss(b: GraphBuilder, logits: Value): Value;
  evaluator(): Evaluator<N>;
  /** @param logits of `count` examples */
  decode(logits: ArrayLike<number>, count: number): P[];
}
