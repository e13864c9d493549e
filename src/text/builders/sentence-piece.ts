import { BinaryReader } from "@bufbuild/protobuf/wire";
import { messageOf, PtuningError, shown } from "../../core/index.ts";

/** What a piece is, by its number in the file. */
const pieceTypes = [undefined, "normal", "unknown", "control", "user-defined", "unused", "byte"] as const;

/** One entry of the vocabulary. */
export interface Piece {
  readonly text: string;
  /** Logarithm of its probability. */
  readonly score: number;
  readonly type: NonNullable<(typeof pieceTypes)[number]>;
}

/** What a SentencePiece model says: the fields of its `ModelProto` that decide about tokens. */
export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  /** Index of the piece for what the vocabulary does not have. */
  readonly unknown: number;
  /** Whether unknown characters become their bytes. */
  readonly byteFallback: boolean;
  /** Character rules as the native library takes them; empty: none. */
  readonly charsMap: Uint8Array;
  /** Whether texts get a blank in front. */
  readonly addDummyPrefix: boolean;
  /** Whether blanks at the ends go, and of several in a row all but one. */
  readonly removeExtraWhitespaces: boolean;
}

/** Of `trainer_spec.model_type`; the others have no pieces that fit the library's model. */
const unigram = 1;
const modelTypes = [undefined, "unigram", "BPE", "word", "char"];
/** Longer pieces would be texts. */
const maxPieceLength = 4096;

const wire = { varint: 0, bytes: 2, fixed32: 5 } as const;

/** What is read of one message: by field number its wire type and what takes the value. */
type Fields = Readonly<
  Record<number, readonly [type: keyof typeof wire, take: (reader: BinaryReader, at: number) => void]>
>;

/**
 * Reads a SentencePiece model (`spm.model`, `spiece.model`, `sentencepiece.bpe.model`), as `sentencepiece_model.proto`
 * describes it.
 * @param where names the file in errors
 * @throws BACKBONE_INVALID naming the byte where it is damaged, or what no tokenizer can be built of
 */
export function readSentencePiece(bytes: Uint8Array, where: string): SentencePieceModel {
  const pieces: Piece[] = [];
  let [modelType, isSuffix, byteFallback, unknownId] = [
    unigram,
    false,
    false,
    undefined as number | undefined,
  ];
  let charsMap: Uint8Array = new Uint8Array();
  let [addDummyPrefix, removeExtraWhitespaces, escapesWhitespaces] = [true, true, true];
  const message =
    (fields: Fields) =>
    (reader: BinaryReader, at: number): void => {
      const inner = reader.bytes();
      readMessage(inner, at + reader.pos - inner.length, where, fields);
    };
  const trainer = message({
    3: ["varint", (reader) => (modelType = reader.int32())],
    24: ["varint", (reader) => (isSuffix = reader.bool())],
    35: ["varint", (reader) => (byteFallback = reader.bool())],
    40: ["varint", (reader) => (unknownId = reader.int32())],
  });
  const normalizer = message({
    2: ["bytes", (reader) => (charsMap = reader.bytes())],
    3: ["varint", (reader) => (addDummyPrefix = reader.bool())],
    4: ["varint", (reader) => (removeExtraWhitespaces = reader.bool())],
    5: ["varint", (reader) => (escapesWhitespaces = reader.bool())],
  });
  readMessage(bytes, 0, where, {
    1: ["bytes", (reader, at) => pieces.push(readPiece(message, reader, at, where, pieces.length))],
    2: ["bytes", trainer],
    3: ["bytes", normalizer],
  });
  const fail = (expected: string, got: string): never => {
    throw new PtuningError("BACKBONE_INVALID", `${where}: expected ${expected}, got ${got}.`);
  };
  if (pieces.length === 0) fail("a SentencePiece model", "a file without pieces");
  if (modelType !== unigram) {
    fail("a unigram model (model_type 1)", modelTypes[modelType] ?? `model_type ${modelType}`);
  }
  if (isSuffix) fail("blanks in front of words", "treat_whitespace_as_suffix");
  if (!escapesWhitespaces) fail("blanks as ▁", "escape_whitespaces: false");
  const unknown = pieces.findIndex(({ type }) => type === "unknown");
  if (unknown < 0) fail("a piece of type unknown", "none");
  const another = pieces.findLastIndex(({ type }) => type === "unknown");
  if (another !== unknown) fail("one piece of type unknown", `pieces ${unknown} and ${another}`);
  if (unknownId !== undefined && unknownId !== unknown) {
    fail(`unk_id ${unknown}, the piece of type unknown`, String(unknownId));
  }
  expectDifferent(pieces, where);
  if (charsMap.length > 0) expectCharsMap(charsMap, where);
  return { pieces, unknown, byteFallback, charsMap, addDummyPrefix, removeExtraWhitespaces };
}

function readPiece(
  message: (fields: Fields) => (reader: BinaryReader, at: number) => void,
  reader: BinaryReader,
  at: number,
  where: string,
  index: number,
): Piece {
  let [text, score, type] = [undefined as Uint8Array | undefined, 0, 1];
  const start = at + reader.pos;
  message({
    1: ["bytes", (inner) => (text = inner.bytes())],
    2: ["fixed32", (inner) => (score = inner.float())],
    3: ["varint", (inner) => (type = inner.int32())],
  })(reader, at);
  const fail = (expected: string, got: string): never => {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${where}: piece ${index} (byte ${start}): expected ${expected}, got ${got}.`,
    );
  };
  let decoded = "";
  try {
    decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text);
  } catch {
    fail("text in UTF-8", "other bytes");
  }
  if (decoded === "") fail("a text", "an empty one");
  if (decoded.length > maxPieceLength) fail(`at most ${maxPieceLength} characters`, String(decoded.length));
  if (!Number.isFinite(score)) fail("a finite score", String(score));
  return { text: decoded, score, type: pieceTypes[type] ?? fail("a type from 1 to 6", String(type)) };
}

/** Reads the fields that `fields` names and passes the others over. @param start where the message begins in the file */
function readMessage(bytes: Uint8Array, start: number, where: string, fields: Fields): void {
  const reader = new BinaryReader(bytes);
  let at = 0;
  try {
    while (reader.pos < reader.len) {
      at = reader.pos;
      const [number, type] = reader.tag();
      const field = fields[number];
      if (field === undefined) {
        reader.skip(type, number);
        continue;
      }
      if (type !== wire[field[0]]) throw new Error(`field ${number} has wire type ${type}`);
      field[1](reader, start);
      if (reader.pos > reader.len) throw new RangeError("it ends too early");
    }
  } catch (cause) {
    if (cause instanceof PtuningError) throw cause;
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${where}: byte ${start + at}: expected a SentencePiece model, got a damaged file (${messageOf(cause)}).`,
      { hint: "Fetch it again.", cause },
    );
  }
}

function expectDifferent(pieces: readonly Piece[], where: string): void {
  const seen = new Map<string, number>();
  for (const [i, { text }] of pieces.entries()) {
    const first = seen.get(text);
    if (first !== undefined) {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${where}: piece ${i}: expected another than piece ${first}, got ${shown(text)} again.`,
      );
    }
    seen.set(text, i);
  }
}

/** A trie of 32-bit units behind its length in bytes, then the texts that characters become, each with a zero behind. */
function expectCharsMap(charsMap: Uint8Array, where: string): void {
  const view = new DataView(charsMap.buffer, charsMap.byteOffset, charsMap.byteLength);
  const trie = charsMap.length < 4 ? undefined : view.getUint32(0, true);
  if (trie !== undefined && trie > 0 && trie % 4 === 0 && trie <= charsMap.length - 4) return;
  throw new PtuningError(
    "BACKBONE_INVALID",
    `${where}: precompiled_charsmap: expected a trie within its ${charsMap.length} bytes, got ${trie ?? "no"} bytes.`,
  );
}

/** e and an acute accent, two characters. */
const decomposed = [0x65, 0xcc, 0x81];

/**
 * Whether character rules join a letter with the accents behind it, as NFC and NFKC do. The library, unlike
 * SentencePiece, looks for one rule per visible character, and does not find what letters with several accents become.
 * @param charsMap a trie as libdarts lays it out
 */
export function joinsAccents(charsMap: Uint8Array): boolean {
  const view = new DataView(charsMap.buffer, charsMap.byteOffset, charsMap.byteLength);
  const size = charsMap.length < 4 ? 0 : view.getUint32(0, true) / 4;
  const unitAt = (index: number): number => (index < size ? view.getUint32(4 + 4 * index, true) : 0);
  const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
  let node = offsetOf(unitAt(0));
  for (const byte of decomposed) {
    node ^= byte;
    const unit = unitAt(node);
    // The label of a unit is its last byte, unless its highest bit says that it is a value.
    if ((unit & 0x800000ff) !== byte) return false;
    node ^= offsetOf(unit);
  }
  const start = 4 + 4 * size + (unitAt(node) & 0x7fffffff);
  const [first, second, end] = charsMap.subarray(start, start + 3);
  return first === 0xc3 && second === 0xa9 && end === 0;
}
