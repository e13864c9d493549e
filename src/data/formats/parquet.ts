import { getHeapStatistics } from "node:v8";
import type { AsyncBuffer, FileMetaData, RowGroup } from "hyparquet";
import { messageOf, PtuningError } from "../../core/index.ts";
import type { ByteSource } from "../../files/index.ts";
import type { Format, FormatInput, Row } from "../format.ts";
import { isRecord } from "../lines.ts";
import { tableReaders } from "../mapping.ts";
import { defaultMaxUnpackedBytes } from "../source.ts";
import { checkPages } from "./parquet-pages.ts";

type Library = Awaited<ReturnType<typeof loadLibrary>>;

/** Loaded when the first Parquet file is read. */
async function loadLibrary() {
  const [{ parquetMetadataAsync, parquetReadObjects }, { compressors }] = await Promise.all([
    import("hyparquet"),
    import("hyparquet-compressors"),
  ]);
  return { parquetMetadataAsync, parquetReadObjects, compressors };
}

async function* rows(input: FormatInput): AsyncGenerator<Row> {
  const library = await loadLibrary();
  const source = await input.bytes();
  try {
    const file: AsyncBuffer = {
      byteLength: source.size,
      slice: (start, end = source.size) => readWithin(source, start, end),
    };
    const metadata = await readMetadata(library, file, source, input);
    for (const group of metadata.row_groups) expectFits(group, input.path);
    const convert = converterOf(metadata);
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      for (const record of await readGroup(library, file, metadata, group, rowStart, input)) {
        rowStart++;
        yield { line: rowStart, fields: convert(record) };
      }
      rowStart = rowEnd;
    }
  } finally {
    await source.close();
  }
}

/**
 * The bytes that are there, as `ArrayBuffer.slice` gives them: hyparquet starts reads ahead and does not wait for all
 * of them, so a read beyond the end must not reject.
 */
async function readWithin(source: ByteSource, start: number, end: number): Promise<ArrayBuffer> {
  const clamp = (at: number): number => Math.min(source.size, Math.max(0, Number.isFinite(at) ? at : 0));
  const from = clamp(start);
  return ownBuffer(await source.read(from, Math.max(0, clamp(end) - from)));
}

/** hyparquet takes buffers, not views into them. */
function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.byteLength === bytes.byteLength
    ? (bytes.buffer as ArrayBuffer)
    : (bytes.slice().buffer as ArrayBuffer);
}

function fail(path: string, cause: unknown): PtuningError {
  return new PtuningError("DATA_INVALID", `${path}: expected a Parquet file, got: ${messageOf(cause)}.`, {
    hint: "The file is damaged or was cut off: fetch it again.",
    cause,
  });
}

async function readMetadata(
  { parquetMetadataAsync }: Library,
  file: AsyncBuffer,
  source: ByteSource,
  { path, options }: FormatInput,
): Promise<FileMetaData> {
  let metadata: FileMetaData;
  try {
    metadata = await parquetMetadataAsync(file);
    checkMetadata(metadata, source.size, options.maxUnpackedBytes ?? defaultMaxUnpackedBytes);
  } catch (cause) {
    throw fail(path, cause);
  }
  return metadata;
}

/** Sizes that a damaged or hostile file states must not cost memory. */
function checkMetadata(metadata: FileMetaData, size: number, limit: number): void {
  let total = 0;
  let counted = 0;
  if (!Array.isArray(metadata.row_groups) || !Array.isArray(metadata.schema))
    throw new Error("no row groups");
  for (const { columns, num_rows: count } of metadata.row_groups) {
    counted += Number(count);
    for (const { meta_data: column } of columns) {
      if (column === undefined) throw new Error("a column without metadata");
      const packed = Number(column.total_compressed_size);
      const unpacked = Number(column.total_uncompressed_size);
      if (!(packed >= 0 && packed <= size)) throw new Error("a column that leaves the file");
      if (!(unpacked >= 0)) throw new Error("a column of negative size");
      if (!(Number(count) <= Number(column.num_values))) throw new Error("fewer values than rows");
      total += unpacked;
    }
  }
  if (counted !== Number(metadata.num_rows)) throw new Error("row counts that contradict each other");
  if (total > limit) throw new Error(`more than ${limit} bytes unpacked`);
}

/** What one row group, which is decoded as a whole, may take of the heap. */
const shareOfHeap = 0.7;
/** A record, a value in its column and in its record, and a byte of the file's as text: as measured. */
const [recordBytes, valueBytes, textBytes] = [56, 24, 1.5];

/** A heap that overflows ends the process: a few bytes may stand for more rows than there is memory. */
function expectFits({ num_rows: count, columns }: RowGroup, path: string): void {
  const bytes = columns.reduce(
    (sum, { meta_data: column }) =>
      sum + valueBytes * Number(column?.num_values) + textBytes * Number(column?.total_uncompressed_size),
    recordBytes * Number(count),
  );
  const limit = getHeapStatistics().heap_size_limit * shareOfHeap;
  if (bytes <= limit) return;
  const [needed, most] = [bytes, limit].map((one) => `${Math.round(one / 2 ** 20)} MB`);
  throw new PtuningError(
    "DATA_INVALID",
    `${path}: expected row groups that fit in memory, got one of ${count} rows: about ${needed}, of ${most} that a group may take.`,
    {
      hint: "Write the file with smaller row groups (pyarrow: row_group_size=100000), or give Node more memory: NODE_OPTIONS=--max-old-space-size=16000 (in MB).",
    },
  );
}

async function readGroup(
  { parquetReadObjects, compressors }: Library,
  file: AsyncBuffer,
  metadata: FileMetaData,
  { columns, num_rows: count }: RowGroup,
  rowStart: number,
  input: FormatInput,
): Promise<Record<string, unknown>[]> {
  const rowEnd = rowStart + Number(count);
  try {
    for (const { meta_data: column } of columns) {
      const start = Number(column!.dictionary_page_offset || column!.data_page_offset);
      checkPages(
        await file.slice(start, start + Number(column!.total_compressed_size)),
        Number(column!.num_values),
      );
    }
    const records = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd });
    if (records.length === rowEnd - rowStart) return records;
    throw new Error(`${records.length} rows instead of ${rowEnd - rowStart}`);
  } catch (cause) {
    input.reject(fail(`${input.path}: rows ${rowStart + 1} to ${rowEnd}`, cause));
    return [];
  }
}

type Convert = (value: unknown) => unknown;

/** Turns Parquet's values into those that JSON has, and the numbers of the Hugging Face `ClassLabel` into names. */
function converterOf(metadata: FileMetaData): (record: Record<string, unknown>) => Record<string, unknown> {
  const entry = metadata.key_value_metadata?.find(({ key }) => key === "huggingface")?.value;
  let features: Record<string, unknown> = {};
  try {
    const info: unknown = entry === undefined ? undefined : JSON.parse(entry);
    if (isRecord(info) && isRecord(info.info) && isRecord(info.info.features)) features = info.info.features;
  } catch {
    // Other programs write other things there; the columns are read without names then.
  }
  const converters = new Map(
    Object.entries(features).map(([name, feature]) => [name, converterFor(feature)]),
  );
  return (record) => {
    const fields: Record<string, unknown> = Object.create(null);
    for (const [name, value] of Object.entries(record)) fields[name] = (converters.get(name) ?? plain)(value);
    return fields;
  };
}

function converterFor(feature: unknown): Convert {
  if (Array.isArray(feature)) return listOf(converterFor(feature[0]));
  if (!isRecord(feature)) return plain;
  const { names } = feature;
  if (feature._type === "ClassLabel" && Array.isArray(names)) {
    // −1 marks rows without a label.
    return (value) =>
      value === null || value === undefined || Number(value) < 0
        ? null
        : (names[Number(value)] ?? plain(value));
  }
  if (feature._type === "Sequence" || feature._type === "List" || feature._type === "LargeList") {
    // A sequence of structs is stored as a struct of lists.
    const inner = feature.feature;
    if (isRecord(inner) && inner._type === undefined) {
      return converterFor(
        Object.fromEntries(
          Object.entries(inner).map(([name, one]) => [name, { _type: "Sequence", feature: one }]),
        ),
      );
    }
    return listOf(converterFor(inner));
  }
  if (feature._type === undefined) {
    const inside = new Map(Object.entries(feature).map(([name, one]) => [name, converterFor(one)]));
    return (value) =>
      isRecord(value)
        ? Object.fromEntries(
            Object.entries(value).map(([name, one]) => [name, (inside.get(name) ?? plain)(one)]),
          )
        : plain(value);
  }
  return plain;
}

function listOf(convert: Convert): Convert {
  return (value) => (isList(value) ? Array.from(value, convert) : plain(value));
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

function plain(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") {
    return BigInt.asIntN(53, value) === value ? Number(value) : String(value);
  }
  if (value instanceof Date) return value.toISOString();
  if (isList(value)) return Array.from(value, plain);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
}

/** Parquet, with nested lists and structs as Hugging Face data sets have them. */
export const parquet: Format = {
  title: "Parquet",
  readers: tableReaders(rows),
  rows,
  fits: ({ name, start }) => start.startsWith("PAR1") || (name.endsWith(".parquet") && start !== ""),
};
