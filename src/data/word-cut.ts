/**
 * How texts are cut into words. Annotated files choose a cut at which their spans end; it is kept with what was
 * learnt, so that predictions cut alike.
 */

/** How texts are cut into words. */
export interface WordCut {
  /**
   * `words`: at blanks and punctuation, and where scripts write no blanks by a dictionary (Thai, Lao, Khmer, Burmese)
   * or at every character (Chinese, kana). `characters`: every character of a script without blanks, and every
   * syllable of Hangul, is a word. `runs`: as `words` without a dictionary.
   */
  readonly at: "runs" | "words" | "characters";
  /** Words of other scripts are also cut before these endings: `ssa` makes `Helsingi` and `ssa` of `Helsingissa`. */
  readonly endings?: readonly string[];
  /** Likewise behind these beginnings. */
  readonly beginnings?: readonly string[];
}

/** The cut where nothing says otherwise. */
export const defaultCut: WordCut = { at: "words" };

/** The cut of adapters that do not name one: they were trained before there was a choice. */
export const formerCut: WordCut = { at: "runs" };

/** Whether a cut is {@link formerCut}, and needs no naming. */
export const isFormer = (cut: WordCut): boolean => JSON.stringify(cut) === JSON.stringify(formerCut);

type Range = readonly [start: number, end: number];

const single = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}`;
/** Scripts that write no blanks between words and for which Intl.Segmenter has dictionaries. */
const withDictionary = String.raw`\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}`;
/** Scripts without blanks, or (Hangul) with endings that are written to their word. */
const fine = String.raw`${single}${withDictionary}\p{Script=Hangul}\p{Script=Tibetan}\p{Script=Javanese}\p{Script=Balinese}\p{Script=Tai_Le}\p{Script=New_Tai_Lue}\p{Script=Tai_Tham}\p{Script=Tai_Viet}\p{Script=Yi}\p{Script=Bopomofo}`;

const wordsAround = (alone: string): RegExp =>
  new RegExp(String.raw`[${alone}]\p{M}*|(?:(?![${alone}])[\p{L}\p{M}\p{N}_])+|\S`, "gu");
const runs = wordsAround(single);
const characters = wordsAround(fine);
const dictionaryScript = new RegExp(`[${withDictionary}]`, "u");
const fineScript = new RegExp(`[${fine}]`, "u");
const unspacedScript = new RegExp(`[${single}${withDictionary}]`, "u");
const wordCharacter = /[\p{L}\p{M}\p{N}_]/u;

const segmenter = new Intl.Segmenter("en", { granularity: "word" });

/**
 * The words of a text as `[start, end)`: runs of letters, digits, marks and `_`, cut further as `cut` says; every
 * other character that is not white space is a word by itself.
 *
 * @example
 * splitWords("Ann's 東京"); // [[0, 3], [3, 4], [4, 5], [6, 7], [7, 8]]
 */
export function splitWords(text: string, cut: WordCut = defaultCut): Range[] {
  const pattern = cut.at === "characters" ? characters : runs;
  const words: Range[] = [];
  const affixes = affixesOf(cut);
  const hasDictionary = cut.at === "words" && dictionaryScript.test(text);
  for (const { index, 0: word } of text.matchAll(pattern)) {
    if (hasDictionary && dictionaryScript.test(word)) {
      for (const { index: at, segment } of segmenter.segment(word)) {
        words.push([index + at, index + at + segment.length]);
      }
    } else if (affixes === undefined || word.length < 2) words.push([index, index + word.length]);
    else for (const piece of cutAt(index, index + word.length, affixes(word))) words.push(piece);
  }
  return words;
}

/** The word's pieces between places inside it. */
export function cutAt(start: number, end: number, places: readonly number[]): Range[] {
  const borders = [0, ...new Set(places), end - start].sort((a, b) => a - b);
  return borders.slice(1).map((border, i) => [start + borders[i]!, start + border] as const);
}

const known = new WeakMap<WordCut, ((word: string) => number[]) | undefined>();

/** Gives the places inside a word at which its known endings and beginnings cut it. */
function affixesOf(cut: WordCut): ((word: string) => number[]) | undefined {
  const { endings = [], beginnings = [] } = cut;
  if (endings.length + beginnings.length === 0) return undefined;
  if (!known.has(cut)) {
    const [behind, before] = [new Set(endings), new Set(beginnings)];
    const longest = Math.max(...[...behind, ...before].map(({ length }) => length));
    known.set(cut, (word) => {
      const places: number[] = [];
      for (let length = 1; length <= longest && length < word.length; length++) {
        if (behind.has(word.slice(-length))) places.push(word.length - length);
        if (before.has(word.slice(0, length))) places.push(length);
      }
      return places;
    });
  }
  return known.get(cut);
}

/** Whether a word is of a script in which `characters` cuts everywhere. */
export function isFine(word: string): boolean {
  return fineScript.test(word);
}

/**
 * Whether a place in a text, a string index, cuts no word of a script with blanks, nor a character. Between characters
 * of scripts without blanks every place is one.
 */
export function isWordBorder(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return at === 0 || at === text.length;
  const code = text.charCodeAt(at);
  if (code >= 0xdc00 && code < 0xe000) return false;
  const next = String.fromCodePoint(text.codePointAt(at)!);
  if (/[\p{M}\u200d]/u.test(next)) return false;
  const previous = lastCharacter(text, at);
  if (previous === "\u200d") return false;
  if (unspacedScript.test(previous) || unspacedScript.test(next)) return true;
  return !(wordCharacter.test(previous) && wordCharacter.test(next));
}

function lastCharacter(text: string, end: number): string {
  const code = text.charCodeAt(end - 1);
  return code >= 0xdc00 && code < 0xe000 ? text.slice(Math.max(0, end - 2), end) : text[end - 1]!;
}

/** The places in a text at which a dictionary of its language ends words. */
export function dictionaryBorders(text: string): Set<number> {
  const borders = new Set([text.length]);
  for (const { index } of segmenter.segment(text)) borders.add(index);
  return borders;
}

/** What spans that end inside words say of how to cut. */
export class CutSurvey {
  #spans = 0;
  #fine = 0;
  readonly #endings: string[] = [];
  readonly #beginnings: string[] = [];
  #torn = 0;
  #joining = 0;
  #hasDictionary = false;

  /** Takes notice of a text, also of one without spans. */
  see(text: string): void {
    this.#hasDictionary ||= dictionaryScript.test(text);
  }

  /** @param start of a span without white space at its ends @param words cut as {@link defaultCut} says */
  add(text: string, start: number, end: number, words: readonly Range[]): void {
    this.#spans++;
    const first = words.find((word) => word[1] > start);
    const last = words.findLast((word) => word[0] < end);
    if (first === undefined || last === undefined) return;
    const [isStart, isEnd] = [first[0] === start, last[1] === end];
    if (isStart && isEnd) return;
    const wholes = [...(isStart ? [] : [first]), ...(isEnd ? [] : [last])].map(([from, to]) =>
      text.slice(from, to),
    );
    if (wholes.every(isFine)) {
      this.#fine++;
      return;
    }
    // Arabic and Hebrew write articles and prepositions to their word, of one letter each.
    if (wholes.every((word) => /[\p{Script=Arabic}\p{Script=Hebrew}]/u.test(word))) this.#joining++;
    if (!isStart && !isEnd) this.#torn++;
    if (!isEnd) this.#endings.push(text.slice(end, last[1]));
    if (!isStart) this.#beginnings.push(text.slice(first[0], start));
  }

  /**
   * The coarsest cut at which the spans end.
   * @param always whether spans that may be mistakes count, too
   */
  decide(always: boolean): WordCut {
    const at = this.#fine > 0 ? "characters" : this.#hasDictionary ? "words" : "runs";
    const affixed = always || this.#isSystematic();
    const [endings, beginnings] = [distinct(this.#endings), distinct(this.#beginnings)];
    return {
      at,
      ...(affixed && endings.length > 0 && { endings }),
      ...(affixed && beginnings.length > 0 && { beginnings }),
    };
  }

  /** Whether words with endings or beginnings of their own explain the spans, rather than slips or shifted offsets. */
  #isSystematic(): boolean {
    const [endings, beginnings] = [this.#endings, this.#beginnings];
    const count = endings.length + beginnings.length;
    if (count === 0 || this.#torn > 0) return false;
    if (this.#joining === count) return true;
    if (count < 3 || (endings.length > 0 && beginnings.length > 0)) return false;
    const parts = endings.length > 0 ? endings : beginnings;
    const different = distinct(parts).length;
    // All short of one letter, and of any letter: the last one was not counted, or the first.
    if (parts.every((part) => part.length === 1) && different > count / 2) return false;
    return count >= this.#spans / 20 || (count >= 10 && different <= count / 3);
  }
}

function distinct(parts: readonly string[]): string[] {
  return [...new Set(parts)].sort();
}

/** The cut that cuts wherever one of several does. */
export function joinedCut(cuts: readonly WordCut[]): WordCut {
  const order = ["runs", "words", "characters"] as const;
  const at = order[Math.max(...cuts.map((cut) => order.indexOf(cut.at)))]!;
  const endings = distinct(cuts.flatMap((cut) => cut.endings ?? []));
  const beginnings = distinct(cuts.flatMap((cut) => cut.beginnings ?? []));
  return { at, ...(endings.length > 0 && { endings }), ...(beginnings.length > 0 && { beginnings }) };
}
