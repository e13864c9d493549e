/** The headers of a Parquet column's pages, looked at before they are decoded. */

/** A Thrift struct: numbers and structs by the id of their field; what else there is, is stepped over. */
type Struct = ReadonlyMap<number, number | Struct>;

/** Structs inside structs that a page has; more is damage. */
const deepest = 8;

/** Reads Thrift's compact protocol; beyond the end it throws a RangeError. */
class Thrift {
  readonly #view: DataView;
  at: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.at = at;
  }

  struct(depth = 0): Struct {
    if (depth > deepest) throw new Error("a page header without an end");
    const fields = new Map<number, number | Struct>();
    for (let id = 0; ; ) {
      const head = this.#byte();
      if (head === 0) return fields;
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      const value = this.#value(head & 15, depth);
      if (value !== undefined) fields.set(id, value);
    }
  }

  #value(type: number, depth: number): number | Struct | undefined {
    if (type === 1 || type === 2) return 2 - type;
    if (type === 3) return this.#byte();
    if (type >= 4 && type <= 6) return this.#zigzag();
    if (type === 12) return this.struct(depth + 1);
    if (type === 7) this.#skip(8);
    else if (type === 8) this.#skip(this.#varint());
    else throw new Error("a page header with a field of an unknown type");
    return undefined;
  }

  #byte(): number {
    return this.#view.getUint8(this.at++);
  }

  #skip(bytes: number): void {
    this.at += bytes;
    if (this.at > this.#view.byteLength) throw new RangeError("a page header that leaves its column");
  }

  #varint(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 63; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new Error("a number without an end");
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

const dictionaryHeader = 7;
/** By the type of a page: the field that holds its own header, and the numbers that this must have, that of values first. */
const pages: Readonly<Record<number, { readonly header: number; readonly needs: readonly number[] }>> = {
  0: { header: 5, needs: [1, 2] },
  2: { header: dictionaryHeader, needs: [1] },
  3: { header: 8, needs: [1, 2, 3, 4, 5, 6] },
};

/**
 * Refuses a column whose pages do not say what decoding needs: where a number is missing, hyparquet goes on at no place at
 * all, without an end.
 * @param bytes of the column in one row group
 * @param count of the column's values; behind them there may be anything
 * @throws Error saying what is wrong
 */
export function checkPages(bytes: ArrayBuffer, count: number): void {
  const thrift = new Thrift(new DataView(bytes), 0);
  for (let values = 0; values < count && thrift.at < bytes.byteLength - 1; ) {
    const page = thrift.struct();
    const size = page.get(3);
    if (typeof size !== "number" || size < 0 || thrift.at + size > bytes.byteLength)
      throw new Error("a page that leaves its column");
    const kind = pages[page.get(1) as number];
    if (kind !== undefined) {
      const header = page.get(kind.header);
      const numbers = kind.needs.map((id) => (typeof header === "object" ? header.get(id) : undefined));
      if (!numbers.every((value): value is number => typeof value === "number" && value >= 0))
        throw new Error("a page header that lacks a number");
      if (kind.header !== dictionaryHeader) values += numbers[0]!;
    }
    thrift.at += size;
  }
}
