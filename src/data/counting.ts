/**
 * What offsets into a text count. Tools differ: browsers count UTF-16 units, Python counts code points, some editors
 * count what a reader sees as one character; and line ends that were `\r\n` in one place are one character in another.
 */

/** What one step of an offset is. */
export type OffsetUnit = "utf-16" | "codepoints" | "graphemes";

/** How line ends are counted: as they stand, `\r\n` as one, no `\r` at all, or every lone `\n` as two. */
type LineEnds = "as they are" | "crlf as one" | "without cr" | "lf as two";

/** One way to count. */
export interface Counting {
  readonly unit: OffsetUnit;
  readonly lineEnds: LineEnds;
}

const units: readonly OffsetUnit[] = ["utf-16", "codepoints", "graphemes"];
const lineEnds: readonly LineEnds[] = ["as they are", "crlf as one", "without cr", "lf as two"];

/** Every way to count, the likeliest first: `first` before other units, graphemes last. */
export function countings(first: OffsetUnit, only?: OffsetUnit): Counting[] {
  const others = units.filter((unit) => unit !== first);
  const [tried, late] =
    only === undefined ? [[first, ...others.slice(0, -1)], others.slice(-1)] : [[only], []];
  return [tried, late].flatMap((some) =>
    lineEnds.flatMap((ends) => some.map((unit) => ({ unit, lineEnds: ends }))),
  );
}

const unitNames = { "utf-16": "UTF-16 units", codepoints: "code points", graphemes: "graphemes" } as const;
const lineEndNames = {
  "as they are": "",
  "crlf as one": ", \\r\\n as one",
  "without cr": " without \\r",
  "lf as two": ", \\n as two",
} as const;

/** `code points, \r\n as one`. */
export function countingName({ unit, lineEnds: ends }: Counting): string {
  return unitNames[unit] + lineEndNames[ends];
}

const astral = /[\ud800-\udbff]/;
/** What may stand in one grapheme with its neighbour. */
const joined = /[\p{M}\p{Cf}\u{1100}-\u{11ff}\u{a960}-\u{a97f}\u{d7b0}-\u{d7ff}\u{e33}\u{eb3}]|\r\n/u;

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** String index of each offset of a text, and of its end; `undefined` where offsets are string indices. */
type Indices = Int32Array | undefined;

/** Translates offsets into one text; keeps what it made, as many spans share a text. */
export class OffsetReader {
  readonly #text: string;
  readonly #made = new Map<string, Indices>();
  readonly #hasAstral: boolean;
  readonly #hasJoined: boolean;
  readonly #hasCr: boolean;
  readonly #hasLf: boolean;

  constructor(text: string) {
    this.#text = text;
    this.#hasAstral = astral.test(text);
    this.#hasJoined = this.#hasAstral || joined.test(text);
    this.#hasCr = text.includes("\r");
    this.#hasLf = text.includes("\n");
  }

  /** Whether ways of counting can differ in this text. */
  get isAmbiguous(): boolean {
    return this.#hasAstral || this.#hasJoined || this.#hasCr || this.#hasLf;
  }

  /** Whether units can differ before a string index. */
  differsBefore(index: number): boolean {
    const head = this.#text.slice(0, index);
    return astral.test(head) || joined.test(head) || head.includes("\r");
  }

  /** The string index of an offset; `undefined` outside the text. */
  index(offset: number, counting: Counting): number | undefined {
    const indices = this.#indices(counting);
    if (offset < 0) return undefined;
    if (indices === undefined) return offset <= this.#text.length ? offset : undefined;
    return indices[offset];
  }

  /** The greatest offset. */
  length(counting: Counting): number {
    return (this.#indices(counting)?.length ?? this.#text.length + 1) - 1;
  }

  #indices({ unit, lineEnds: ends }: Counting): Indices {
    const ownUnit =
      (unit === "graphemes" && !this.#hasJoined) || (unit === "codepoints" && !this.#hasAstral)
        ? "utf-16"
        : unit;
    const hasEnds = ends === "lf as two" ? this.#hasLf : this.#hasCr;
    const ownEnds = hasEnds ? ends : "as they are";
    if (ownUnit === "utf-16" && ownEnds === "as they are") return undefined;
    const key = `${ownUnit} ${ownEnds}`;
    if (!this.#made.has(key)) this.#made.set(key, indicesOf(this.#text, ownUnit, ownEnds));
    return this.#made.get(key);
  }
}

function* steps(text: string, unit: OffsetUnit): Generator<string> {
  if (unit === "graphemes") for (const { segment } of graphemes.segment(text)) yield segment;
  else if (unit === "codepoints") yield* text;
  else for (let i = 0; i < text.length; i++) yield text[i]!;
}

function indicesOf(text: string, unit: OffsetUnit, ends: LineEnds): Int32Array {
  const indices: number[] = [];
  let at = 0;
  // A \r that does not count is part of the \n behind it: what ends before the line ends before both.
  let skipped: number | undefined;
  for (const step of steps(text, unit)) {
    const isSkipped =
      step === "\r" && (ends === "without cr" || (ends === "crlf as one" && text[at + 1] === "\n"));
    if (isSkipped) skipped ??= at;
    else {
      indices.push(skipped ?? at);
      if (ends === "lf as two" && step === "\n" && text[at - 1] !== "\r") indices.push(at);
      skipped = undefined;
    }
    at += step.length;
  }
  indices.push(skipped ?? at);
  return Int32Array.from(indices);
}
