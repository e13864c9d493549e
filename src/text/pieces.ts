import { Growing } from "./growing.ts";

/**
 * Tokens of many examples without special tokens, in flat arrays: what tasks cut windows from before
 * `Tokenizer.assemble` puts the special tokens around them.
 */
export interface PieceSequences {
  readonly count: number;
  /** Token ids of all examples, one after another. */
  readonly ids: Int32Array;
  /** Example `i` has the tokens `starts[i] … starts[i + 1] − 1`. */
  readonly starts: Int32Array;
}

/** Tokens of texts that came split into words. A word may have no token: control characters, for example. */
export interface WordPieces extends PieceSequences {
  /** For each token the index of its word in the example. */
  readonly wordIds: Int32Array;
}

/** Tokens of whole texts, and where in the text they stand. */
export interface TextPieces extends PieceSequences {
  /** For each token the index of its first UTF-16 unit in its text, as `String.prototype.slice` counts. */
  readonly charStarts: Int32Array;
  /** For each token the index behind its last UTF-16 unit. */
  readonly charEnds: Int32Array;
}

/** Lays the tokens of words out sentence by sentence. */
export function layOutWords(
  sentences: readonly (readonly string[])[],
  idsOf: ReadonlyMap<string, ArrayLike<number>>,
): WordPieces {
  const starts = new Int32Array(sentences.length + 1);
  for (const [i, words] of sentences.entries()) {
    starts[i + 1] = words.reduce((total, word) => total + idsOf.get(word)!.length, starts[i]!);
  }
  const ids = new Int32Array(starts[sentences.length]!);
  const wordIds = new Int32Array(ids.length);
  let at = 0;
  for (const words of sentences) {
    for (const [index, word] of words.entries()) {
      const own = idsOf.get(word)!;
      ids.set(own, at);
      wordIds.fill(index, at, at + own.length);
      at += own.length;
    }
  }
  return { count: sentences.length, ids, starts, wordIds };
}

/** Collects {@link TextPieces} text by text. */
export class TextPieceCollector {
  readonly #ids = new Growing((length) => new Int32Array(length));
  readonly #charStarts = new Growing((length) => new Int32Array(length));
  readonly #charEnds = new Growing((length) => new Int32Array(length));
  readonly #starts: number[] = [0];

  /** @param offsets start and end of each token in code points, as the native library counts */
  add(text: string, ids: ArrayLike<number>, offsets: readonly (readonly number[])[]): void {
    const unitOf = unitsOfCodePoints(text);
    this.#ids.append(ids);
    for (const [start, end] of offsets as readonly (readonly [number, number])[]) {
      this.#charStarts.push(unitOf?.[start] ?? start);
      this.#charEnds.push(unitOf?.[end] ?? end);
    }
    this.#starts.push(this.#ids.length);
  }

  finish(): TextPieces {
    return {
      count: this.#starts.length - 1,
      ids: this.#ids.finish(),
      starts: Int32Array.from(this.#starts),
      charStarts: this.#charStarts.finish(),
      charEnds: this.#charEnds.finish(),
    };
  }
}

/** Code point → UTF-16 unit where it starts, with the end as last entry; `undefined` where both are the same. */
function unitsOfCodePoints(text: string): Int32Array | undefined {
  if (!/[\uD800-\uDBFF]/.test(text)) return undefined;
  const units = new Int32Array(text.length + 1);
  let [point, unit] = [0, 0];
  for (const character of text) {
    units[point++] = unit;
    unit += character.length;
  }
  units[point] = unit;
  return units.subarray(0, point + 1);
}
