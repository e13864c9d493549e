/** Writes zip files byte by byte: also ones whose records contradict each other. */

const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8");

/** An unsigned number of `width` bytes, little-endian. */
export function little(value: number | bigint, width: 1 | 2 | 4 | 8): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer.subarray(0, width);
}

/** An entry of a zip file, and in what its records say something else than it is. */
export interface ZipPart {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  readonly flags?: number;
  readonly localName?: string;
  readonly localMethod?: number;
  readonly localFlags?: number;
  /** Sizes as the directory has them; default those of the data. */
  readonly stored?: number;
  readonly size?: number;
  /** Place of the local header as the directory has it. */
  readonly header?: number;
  /** Sizes and place in a zip64 field. */
  readonly wide?: boolean;
  /** Extra fields of the directory's entry. */
  readonly extra?: Uint8Array;
}

/** What the records at the end of a zip file say otherwise. */
export interface ZipEnd {
  readonly wide?: boolean;
  readonly comment?: string;
  readonly before?: Uint8Array;
  readonly entries?: number;
  readonly directoryBytes?: number;
  readonly directoryAt?: number;
  readonly disk?: number;
  /** Of the zip64 record. */
  readonly wideEntries?: number;
  readonly locator?: number;
}

/** The bytes of a zip file with stored entries. */
export function zip(parts: readonly ZipPart[], end: ZipEnd = {}): Buffer {
  const pieces: Buffer[] = [Buffer.from(end.before ?? [])];
  let at = pieces[0]!.length;
  const directory: Buffer[] = [];
  for (const part of parts) {
    const { data, name, method = 0, flags = 0, localName = name } = part;
    const [stored, size] = [part.stored ?? data.length, part.size ?? data.length];
    const header = part.header ?? at;
    const local = Buffer.concat([
      ...[little(0x04034b50, 4), little(20, 2), little(part.localFlags ?? flags, 2)],
      ...[little(part.localMethod ?? method, 2), Buffer.alloc(8), little(stored, 4), little(size, 4)],
      ...[little(bytesOf(localName).length, 2), little(5, 2), bytesOf(localName)],
      // Local headers have extra fields of their own; here one of another length than the directory's.
      Buffer.from([0x46, 0x42, 1, 0, 0x5a]),
    ]);
    const full = 0xffffffff;
    const wide = Buffer.concat([
      little(1, 2),
      little(24, 2),
      little(size, 8),
      little(stored, 8),
      little(header, 8),
    ]);
    const extra = part.extra ?? (part.wide ? wide : Buffer.alloc(0));
    directory.push(
      Buffer.concat([
        ...[little(0x02014b50, 4), little(20, 2), little(20, 2), little(flags, 2), little(method, 2)],
        ...[Buffer.alloc(8), little(part.wide ? full : stored, 4), little(part.wide ? full : size, 4)],
        ...[little(bytesOf(name).length, 2), little(extra.length, 2), little(0, 2), little(0, 2)],
        ...[Buffer.alloc(6), little(part.wide ? full : header, 4), bytesOf(name), extra],
      ]),
    );
    pieces.push(local, Buffer.from(data));
    at += local.length + data.length;
  }
  const all = Buffer.concat(directory);
  const count = end.entries ?? parts.length;
  const [bytes, place] = [end.directoryBytes ?? all.length, end.directoryAt ?? at];
  const after = at + all.length;
  const record64 = Buffer.concat([
    ...[little(0x06064b50, 4), little(44, 8), Buffer.alloc(12), little(end.wideEntries ?? count, 8)],
    ...[little(end.wideEntries ?? count, 8), little(bytes, 8), little(place, 8)],
    ...[little(0x07064b50, 4), little(0, 4), little(end.locator ?? after, 8), little(1, 4)],
  ]);
  const comment = bytesOf(end.comment ?? "");
  const [fullCount, fullSize] = end.wide ? [0xffff, 0xffffffff] : [undefined, undefined];
  const record = Buffer.concat([
    ...[little(0x06054b50, 4), little(end.disk ?? 0, 2), little(0, 2)],
    ...[little(fullCount ?? count, 2), little(fullCount ?? count, 2)],
    ...[little(fullSize ?? bytes, 4), little(fullSize ?? place, 4), little(comment.length, 2), comment],
  ]);
  return Buffer.concat([...pieces, all, ...(end.wide ? [record64] : []), record]);
}
