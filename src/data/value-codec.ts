/**
 * Plain values (texts, numbers, lists, objects) in few bytes, exactly as they were.
 *
 * A value begins with a byte: its form in the lowest three bits, above them a number n (31: n − 31 follows, 7 bits at a
 * time, the lowest first).
 */

/** Forms of values, and what their number is. */
const form = {
  /** Text of n code points below 256, a byte each. */
  latin: 0,
  /** Text in n bytes of UTF-8. */
  utf8: 1,
  /** Text of n UTF-16 units: one with half a surrogate pair, or that is shorter so. */
  utf16: 2,
  /** Text n of those that are known under its key. */
  known: 3,
  /** The whole number n. */
  whole: 4,
  /** List of n values. */
  list: 5,
  /** Object with the keys of shape n, whose values follow. */
  record: 6,
  /** One of {@link constants}; behind them a number in eight bytes; behind that the whole numbers below 0. */
  other: 7,
} as const;

const constants = [undefined, null, false, true] as const;
const eightBytes = constants.length;
/** Whole numbers below this are shorter than eight bytes. */
const wholeBelow = 2 ** 48;
/** The greatest n of a first byte. */
const inlineMost = 30;

/** Texts that are kept of a key at most, and how long. */
const knownMost = 50_000;
const knownLength = 64;
/** With so many kept, a key must have used them as often to go on. */
const knownTrial = 1000;

const isLatin = /^[\0-\xff]*$/;
const hasHalfPair = /\p{Cs}/u;

/** Texts that come again under a key: labels, tags, words. Each is held once. */
class KnownTexts {
  readonly texts: string[] = [];
  readonly #numbers = new Map<string, number>();
  #uses = 0;
  #isUseful = true;

  /** Number of a text; `undefined` where it is not kept. @param own makes a copy that keeps no longer text alive */
  numberOf(text: string, own: (text: string) => string): number | undefined {
    if (!this.#isUseful || text.length > knownLength) return undefined;
    const number = this.#numbers.get(text);
    if (number !== undefined) {
      this.#uses++;
      return number;
    }
    const { length } = this.texts;
    if (length >= knownTrial && this.#uses < length) {
      this.#isUseful = false;
      this.#numbers.clear();
      return undefined;
    }
    if (length >= knownMost) return undefined;
    const kept = own(text);
    this.#numbers.set(kept, length);
    this.texts.push(kept);
    return length;
  }
}

/** The keys of objects, in their order, each with the texts that are known under it. */
interface Shape {
  readonly number: number;
  readonly keys: readonly string[];
  readonly known: readonly KnownTexts[];
}

/** Writes values behind one another, and reads them again. What was written by one is read by the same. */
export class ValueCodec {
  #bytes: Buffer = Buffer.allocUnsafeSlow(firstBytes);
  #length = 0;
  readonly #known = new Map<string, KnownTexts>();
  readonly #shapes: Shape[] = [];
  readonly #shapeOf = new Map<string, Shape>();
  readonly #unnamed = new KnownTexts();
  /** Where it is read. */
  #source: Buffer = this.#bytes;
  #at = 0;

  /** Bytes written since the last {@link take}. */
  get length(): number {
    return this.#length;
  }

  /** @throws TypeError for what is no plain value */
  write(value: unknown): void {
    this.#write(value, this.#unnamed);
  }

  /** The bytes written so far, which begins anew. */
  take(): Buffer {
    const taken = Buffer.allocUnsafeSlow(this.#length);
    this.#bytes.copy(taken, 0, 0, this.#length);
    this.#length = 0;
    if (this.#bytes.length > keptBytes) this.#bytes = Buffer.allocUnsafeSlow(firstBytes);
    return taken;
  }

  /** The value that begins at a place. */
  read(bytes: Buffer, at: number): unknown {
    this.#source = bytes;
    this.#at = at;
    return this.#read(this.#unnamed);
  }

  #write(value: unknown, known: KnownTexts): void {
    if (typeof value === "string") this.#writeText(value, known);
    else if (typeof value === "number") this.#writeNumber(value);
    else if (Array.isArray(value)) {
      this.#head(form.list, value.length);
      for (let i = 0; i < value.length; i++) this.#write(value[i], known);
    } else if (typeof value === "object" && value !== null) this.#writeRecord(value);
    else {
      const number = (constants as readonly unknown[]).indexOf(value);
      if (number < 0) throw new TypeError(`expected a plain value, got a ${typeof value}`);
      this.#head(form.other, number);
    }
  }

  #writeText(text: string, known: KnownTexts): void {
    const number = known.numberOf(text, (given) => this.#copyOf(given));
    if (number !== undefined) this.#head(form.known, number);
    else this.#writeLetters(text);
  }

  #writeLetters(text: string): void {
    const { length } = text;
    if (isLatin.test(text)) {
      this.#head(form.latin, length);
      this.#reserve(length);
      this.#length += this.#bytes.write(text, this.#length, "latin1");
      return;
    }
    const bytes = Buffer.byteLength(text, "utf8");
    const isWide = bytes >= 2 * length || hasHalfPair.test(text);
    this.#head(isWide ? form.utf16 : form.utf8, isWide ? length : bytes);
    this.#reserve(isWide ? 2 * length : bytes);
    this.#length += this.#bytes.write(text, this.#length, isWide ? "utf16le" : "utf8");
  }

  /** The same text in memory of its own: a part of another keeps the whole. */
  #copyOf(text: string): string {
    const at = this.#length;
    this.#writeLetters(text);
    this.#length = at;
    return this.read(this.#bytes, at) as string;
  }

  #writeNumber(value: number): void {
    const isShort = Number.isInteger(value) && Math.abs(value) < wholeBelow && !Object.is(value, -0);
    if (isShort && value >= 0) this.#head(form.whole, value);
    else if (isShort) this.#head(form.other, eightBytes - value);
    else {
      this.#head(form.other, eightBytes);
      this.#reserve(8);
      this.#length = this.#bytes.writeDoubleLE(value, this.#length);
    }
  }

  #writeRecord(value: object): void {
    const keys = Object.keys(value);
    const name = keys.join("\u0000");
    const shape = this.#shapeOf.get(name) ?? this.#addShape(name, keys);
    this.#head(form.record, shape.number);
    for (let i = 0; i < keys.length; i++) {
      this.#write((value as Record<string, unknown>)[keys[i]!], shape.known[i]!);
    }
  }

  #addShape(name: string, keys: readonly string[]): Shape {
    const known = keys.map((key) => {
      const own = this.#known.get(key) ?? new KnownTexts();
      this.#known.set(key, own);
      return own;
    });
    const shape = { number: this.#shapes.length, keys, known };
    this.#shapes.push(shape);
    this.#shapeOf.set(name, shape);
    return shape;
  }

  #head(own: number, number: number): void {
    this.#reserve(10);
    if (number <= inlineMost) {
      this.#bytes[this.#length++] = own | (number << 3);
      return;
    }
    this.#bytes[this.#length++] = own | ((inlineMost + 1) << 3);
    let rest = number - inlineMost - 1;
    for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  #read(known: KnownTexts): unknown {
    const head = this.#source[this.#at++]!;
    let number = head >> 3;
    if (number > inlineMost) number += this.#readRest();
    switch (head & 7) {
      case form.latin:
        return this.#readText("latin1", number);
      case form.utf8:
        return this.#readText("utf8", number);
      case form.utf16:
        return this.#readText("utf16le", 2 * number);
      case form.known:
        return known.texts[number];
      case form.whole:
        return number;
      case form.list: {
        const list: unknown[] = [];
        for (let i = 0; i < number; i++) list.push(this.#read(known));
        return list;
      }
      case form.record: {
        const { keys, known: own } = this.#shapes[number]!;
        const record: Record<string, unknown> = {};
        for (let i = 0; i < keys.length; i++) record[keys[i]!] = this.#read(own[i]!);
        return record;
      }
      default: {
        if (number < eightBytes) return constants[number];
        if (number > eightBytes) return eightBytes - number;
        this.#at += 8;
        return this.#source.readDoubleLE(this.#at - 8);
      }
    }
  }

  #readRest(): number {
    let [number, weight] = [0, 1];
    for (;;) {
      const byte = this.#source[this.#at++]!;
      number += (byte & 0x7f) * weight;
      if (byte < 0x80) return number;
      weight *= 0x80;
    }
  }

  #readText(encoding: BufferEncoding, bytes: number): string {
    const start = this.#at;
    this.#at += bytes;
    return this.#source.toString(encoding, start, this.#at);
  }
}

/** Room at first, and how much of it is kept for what comes next. */
const firstBytes = 2 ** 16;
const keptBytes = 2 ** 20;
