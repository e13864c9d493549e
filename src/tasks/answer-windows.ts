/** Questions and passages as windows of tokens. */
import { PtuningError } from "../core/index.ts";
import type { AnswerExample } from "../data/index.ts";
import {
  SequenceCollector,
  type TextPieces,
  type Tokenizer,
  type TokenWindow,
  tokenWindows,
} from "../text/portable.ts";
import type { WindowPlace } from "./answer-spans.ts";
import type { Encoded } from "./task.ts";
import { roomFor } from "./word-windows.ts";

/** Where the tokens of one passage stand in it, as JavaScript string indices. */
interface TokenOffsets {
  readonly charStarts: Int32Array;
  readonly charEnds: Int32Array;
}

/** Questions with their passages in windows. */
export interface EncodedAnswers extends Encoded {
  readonly examples: readonly AnswerExample[];
  /** Tokens of each example's passage. */
  readonly contexts: readonly TokenOffsets[];
  /** Number of the example that each window belongs to. */
  readonly owners: Int32Array;
  /** Where the passage stands in each window. */
  readonly places: readonly WindowPlace[];
  /** Position of the answer's first token in each window, 0 where the window has none; or {@link noPosition}. */
  readonly starts: Int32Array;
  /** Position of its last token. */
  readonly ends: Int32Array;
}

/** Stands for a target in windows of questions without gold answers. */
export const noPosition = -1;

/** Where windows without the answer point to: the first token, `[CLS]`. */
const nullPosition = 0;

/** A long question is cut to this share of the room, so that passages stay readable. */
const questionShare = 1 / 2;

/** How passages are cut, and whether they must answer. */
export interface AnswerWindowOptions {
  readonly maxLength: number;
  readonly stride: number;
  readonly answerless: boolean;
  readonly tokenTypes: boolean;
}

/**
 * Cuts passages into windows, each behind its question.
 * @throws DATA_INVALID if an answer is not at its place, or missing where there must be one
 */
export async function encodeAnswers(
  examples: readonly AnswerExample[],
  tokenizer: Tokenizer,
  { maxLength, stride, answerless, tokenTypes }: AnswerWindowOptions,
): Promise<EncodedAnswers> {
  for (const example of examples) checkAnswers(example, answerless);
  const room = roomFor(maxLength, tokenizer.addedTokens.pair);
  const questions = await tokenizer.encodeTexts(examples.map(({ question }) => question.trimStart()));
  // Many questions share a passage.
  const texts = [...new Set(examples.map(({ context }) => context))];
  const passages = await tokenizer.encodeTexts(texts);
  const numbers = new Map(texts.map((text, i) => [text, i]));

  const collected = new SequenceCollector(examples.length);
  const contexts: TokenOffsets[] = [];
  const owners: number[] = [];
  const places: WindowPlace[] = [];
  const [starts, ends]: [number[], number[]] = [[], []];
  for (const [i, example] of examples.entries()) {
    const whole = idsOf(questions, i);
    const question = whole.subarray(0, Math.floor(room * questionShare));
    const passage = numbers.get(example.context)!;
    const ids = idsOf(passages, passage);
    const offsets = offsetsOf(passages, passage);
    contexts.push(offsets);
    for (const window of tokenWindows(ids.length, room - question.length, stride)) {
      const input = tokenizer.assemble(question, ids.subarray(window.start, window.end));
      if (!tokenTypes) input.typeIds.fill(0);
      collected.add(input.ids, input.typeIds, question.length < whole.length);
      const position = input.secondStart!;
      owners.push(i);
      places.push({ position, count: window.end - window.start, first: window.start });
      const [start, end] = target(example, offsets, window, position);
      starts.push(start);
      ends.push(end);
    }
  }
  return {
    count: examples.length,
    sequences: collected.finish(),
    examples,
    contexts,
    owners: Int32Array.from(owners),
    places,
    starts: Int32Array.from(starts),
    ends: Int32Array.from(ends),
  };
}

function checkAnswers({ id, context, answers }: AnswerExample, answerless: boolean): void {
  const first = answers?.[0];
  if (answers !== undefined && first === undefined && !answerless) {
    throw new PtuningError("DATA_INVALID", `question ${id}: expected an answer, got none.`, {
      hint: "Set answerless: true where passages may not answer.",
    });
  }
  if (first === undefined) return;
  const found = context.slice(first.start, first.start + first.text.length);
  if (found !== first.text || first.text === "") {
    throw new PtuningError(
      "DATA_INVALID",
      `question ${id}: expected the answer ${JSON.stringify(first.text)} at character ${first.start}, got ${JSON.stringify(found)}.`,
    );
  }
}

function idsOf({ ids, starts }: TextPieces, index: number): Int32Array {
  return ids.subarray(starts[index]!, starts[index + 1]!);
}

function offsetsOf({ charStarts, charEnds, starts }: TextPieces, index: number): TokenOffsets {
  const [from, to] = [starts[index]!, starts[index + 1]!];
  return { charStarts: charStarts.subarray(from, to), charEnds: charEnds.subarray(from, to) };
}

/**
 * Positions of the first gold answer's first and last token in a window: the last token that starts at or before
 * it, and the first that ends at or behind it, as transformers' examples have it.
 */
function target(
  { answers }: AnswerExample,
  { charStarts, charEnds }: TokenOffsets,
  { start, end }: TokenWindow,
  position: number,
): readonly [start: number, end: number] {
  if (answers === undefined) return [noPosition, noPosition];
  const answer = answers[0];
  if (answer === undefined || start === end) return [nullPosition, nullPosition];
  const answerEnd = answer.start + answer.text.length;
  if (charStarts[start]! > answer.start || charEnds[end - 1]! < answerEnd)
    return [nullPosition, nullPosition];
  let first = start;
  while (first + 1 < end && charStarts[first + 1]! <= answer.start) first++;
  let last = end - 1;
  while (last - 1 >= start && charEnds[last - 1]! >= answerEnd) last--;
  return [position + first - start, position + last - start];
}
