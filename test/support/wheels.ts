/** Zip archives and wheels, written by hand so that they can be wrong in any place. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";

/** A file of an archive, and what is stated of it if that is not so. */
export interface ZipEntry {
  readonly name: string;
  readonly content: Uint8Array;
  readonly stored?: boolean;
  readonly crc?: number;
  /** Size when it is unpacked. */
  readonly size?: number;
  readonly flags?: number;
  readonly method?: number;
}

export function zip(entries: readonly ZipEntry[]): Buffer {
  const [bodies, directory]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const entry of entries) {
    const { name, content, stored = false } = entry;
    const packed = stored ? content : deflateRawSync(content);
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(entry.flags ?? 0, 2);
    facts.writeUInt16LE(entry.method ?? (stored ? 0 : 8), 4);
    // 1980-01-01: the day is counted from one.
    facts.writeUInt16LE(0x21, 8);
    facts.writeUInt32LE(entry.crc ?? crc32(content), 10);
    facts.writeUInt32LE(packed.length, 14);
    facts.writeUInt32LE(entry.size ?? content.length, 18);
    facts.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), facts, Buffer.from(name), packed]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), facts, place, Buffer.from(name)]));
    bodies.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  for (const at of [4, 6]) end.writeUInt16LE(entries.length, at);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...bodies, central, Buffer.from("PK\x05\x06"), end]);
}

/** Writes a wheel that pip takes. @returns its size in bytes */
export function writeWheel(folder: string, name: string, entries: readonly ZipEntry[]): number {
  const module = name.replaceAll("-", "_");
  const about = `${module}-1.0.dist-info`;
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  const wheel = zip([
    ...entries,
    { name: `${about}/METADATA`, content: text(`Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`) },
    {
      name: `${about}/WHEEL`,
      content: text("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    },
    { name: `${about}/RECORD`, content: text("") },
  ]);
  writeFileSync(join(folder, `${module}-1.0-py3-none-any.whl`), wheel);
  return wheel.length;
}
