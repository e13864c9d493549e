import { type Counting, countingName, countings, OffsetReader, type OffsetUnit } from "./counting.ts";
import { dictionaryBorders, isWordBorder } from "./word-cut.ts";

/** A stretch of a text as a file gives it: offsets that count nobody yet knows what, and perhaps the text there. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
  /** What the file says stands there. */
  readonly text?: string;
}

/** What a tool's offsets count: a unit or, where its versions differ and the file must tell, several. */
export type OffsetRule = readonly [OffsetUnit, ...OffsetUnit[]];

/** Two ways of counting that put a stretch at different places. */
interface Difference {
  readonly line: number;
  readonly shown: readonly [string, string];
}

/** What the survey came to. */
export interface CountingChoice {
  readonly counting: Counting;
  /** Why it is not the usual one, in words that a warning can show; absent where nothing was to be decided. */
  readonly reason?: string;
  /** Another way that explains the file as well, and where they part. */
  readonly undecided?: { readonly other: Counting } & Difference;
}

/**
 * Finds out for a whole file what its offsets count: the way whose stretches hold the texts that the file gives wins,
 * then the way whose stretches end at word borders, then the one that a dictionary bears out.
 */
export class OffsetSurvey {
  /** Numbers of the ways that are usual; the others want evidence. */
  readonly #usual: readonly number[];
  readonly #ways: readonly Counting[];
  readonly #texts: number[];
  readonly #borders: number[];
  readonly #dictionary: number[];
  #ends = 0;
  /** By the numbers of two ways. */
  readonly #differences = new Map<string, Difference>();

  /** @param only the unit, where the user says it */
  constructor(rule: OffsetRule, only?: OffsetUnit) {
    this.#ways = countings(rule[0], only);
    const units = only === undefined ? rule : [only];
    this.#usual = [...this.#ways.keys()].filter((i) => {
      const { unit, lineEnds } = this.#ways[i]!;
      return lineEnds === "as they are" && units.includes(unit);
    });
    [this.#texts, this.#borders, this.#dictionary] = [0, 0, 0].map(() => this.#ways.map(() => 0)) as [
      number[],
      number[],
      number[],
    ];
  }

  add(line: number, text: string, stretches: Iterable<Stretch>): void {
    const reader = new OffsetReader(text);
    if (!reader.isAmbiguous) return;
    let dictionary: Set<number> | undefined;
    for (const stretch of stretches) {
      const ranges = this.#ways.map((way) => rangeOf(reader, stretch, way));
      const keys = ranges.map((range) => range?.join(" ") ?? "");
      if (keys.every((key) => key === keys[0])) continue;
      dictionary ??= dictionaryBorders(text);
      if (stretch.text === undefined) this.#ends += 2;
      for (const [i, range] of ranges.entries()) {
        if (range === undefined) continue;
        if (stretch.text !== undefined) {
          if (saysSame(text.slice(...range), stretch.text)) this.#texts[i]!++;
          continue;
        }
        const [isStart, isEnd] = borderEnds(text, range);
        this.#borders[i]! += Number(isStart) + Number(isEnd);
        const ends = [isStart && dictionary.has(range[0]), isEnd && dictionary.has(range[1])];
        this.#dictionary[i]! += ends.filter(Boolean).length;
      }
      this.#remember(line, text, ranges, keys);
    }
  }

  #remember(
    line: number,
    text: string,
    ranges: readonly (readonly [number, number] | undefined)[],
    keys: readonly string[],
  ): void {
    const show = (range: readonly [number, number] | undefined): string =>
      range === undefined ? "nothing" : JSON.stringify(text.slice(...range).slice(0, 40));
    for (let a = 0; a < keys.length; a++) {
      for (let b = a + 1; b < keys.length; b++) {
        const pair = `${a} ${b}`;
        if (keys[a] === keys[b] || this.#differences.has(pair)) continue;
        this.#differences.set(pair, { line, shown: [show(ranges[a]), show(ranges[b])] });
      }
    }
  }

  #difference(a: number, b: number): Difference | undefined {
    const found = this.#differences.get(a < b ? `${a} ${b}` : `${b} ${a}`);
    if (found === undefined || a < b) return found;
    return { line: found.line, shown: [found.shown[1], found.shown[0]] };
  }

  decide(): CountingChoice {
    const [texts, borders, dictionary] = [this.#texts, this.#borders, this.#dictionary];
    const order = [...this.#ways.keys()].sort(
      (a, b) =>
        texts[b]! - texts[a]! || borders[b]! - borders[a]! || dictionary[b]! - dictionary[a]! || a - b,
    );
    const usual = order.find((way) => this.#usual.includes(way))!;
    const best = order.find((way) => way === usual || this.#outdoes(way, usual))!;
    const counting = this.#ways[best]!;
    const differs = (other: number): boolean => this.#difference(best, other) !== undefined;
    const rival = this.#usual.find((other) => differs(other) && !this.#outdoes(best, other));
    if (rival !== undefined && best === usual) {
      return { counting, undecided: { other: this.#ways[rival]!, ...this.#difference(best, rival)! } };
    }
    if (!this.#usual.some(differs)) return { counting };
    const why = texts[best]! > 0 ? "hold the texts that the file gives" : "end at word borders";
    return { counting, reason: `offsets were read as ${countingName(counting)}, so that spans ${why}` };
  }

  /** Whether one way explains the file so much better than another that it is no chance. */
  #outdoes(one: number, other: number): boolean {
    if (this.#texts[one]! !== this.#texts[other]!) return this.#texts[one]! > this.#texts[other]!;
    return [this.#borders, this.#dictionary].some((scores) => {
      const ahead = scores[one]! - scores[other]!;
      return ahead > 0 && (scores[one] === this.#ends || ahead >= Math.sqrt(this.#ends));
    });
  }
}

/** The string indices of a stretch; `undefined` if it does not lie in the text. */
export function rangeOf(
  reader: OffsetReader,
  { start, end }: Stretch,
  counting: Counting,
): readonly [start: number, end: number] | undefined {
  const range = [reader.index(start, counting), reader.index(end, counting)] as const;
  return range[0] === undefined || range[1] === undefined || range[0] >= range[1]
    ? undefined
    : [range[0], range[1]];
}

/** Whether a stretch starts and ends where words may; white space is no part of one. */
function borderEnds(text: string, [start, end]: readonly [number, number]): readonly [boolean, boolean] {
  const isBlank = (at: number): boolean => /\s/.test(text[at]!);
  return [!isBlank(start) && isWordBorder(text, start), !isBlank(end - 1) && isWordBorder(text, end)];
}

/** Whether two texts are the same but for how white space and accents are written. */
export function saysSame(found: string, given: string): boolean {
  if (found === given) return true;
  // Label Studio writes line ends in a region's text as a backslash and an n.
  const spelled = /[\r\n]/.test(found) ? given.replaceAll("\\n", "\n") : given;
  return plain(found) === plain(spelled);
}

function plain(text: string): string {
  return text.normalize("NFC").replace(/\r\n?/g, "\n").replace(/\s/g, " ").trim();
}
