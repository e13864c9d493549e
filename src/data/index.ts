export { escapeCell, restoreCell, rowColumn } from "./cells.ts";
export type { OffsetUnit } from "./counting.ts";
export { type DatasetOptions, readDataset } from "./dataset.ts";
export { type ExampleText, exampleKinds, type KindDescription } from "./describe.ts";
export type {
  AnswerExample,
  ChoiceExample,
  Dataset,
  ExampleFile,
  ExampleKind,
  ExampleKinds,
  RoleExample,
  TextExample,
  TokenExample,
} from "./example.ts";
export { FirstRows } from "./first-rows.ts";
export type { FileLook, Format, FormatInput, Reader, Row, Split } from "./format.ts";
export { type FormatName, formats } from "./formats.ts";
export { type Guess, guessReading } from "./guess.ts";
export { isByColumn, isJsonLines, outlineOf } from "./json-outline.ts";
export { exampleKey } from "./kinds.ts";
export { type Column, type ColumnOptions, goldOptions, type ReadOptions } from "./options.ts";
export { PackedExamples } from "./packed.ts";
export {
  formatsOf,
  type OpenedExamples,
  type OpenedRecords,
  openExamples,
  openRecords,
  openRows,
  type ReadOptionsFor,
  readExamples,
} from "./read.ts";
export type { DataRecord } from "./records.ts";
export { drawShots } from "./shots.ts";
export { startOf } from "./source.ts";
export { splitOff } from "./split.ts";
export { readTable, type TableOptions } from "./table.ts";
export { decodeTags, detectTagScheme, encodeSpans, type TagScheme, type TypedSpan } from "./tag-scheme.ts";
export { type TextLinesOptions, textLines } from "./text-lines.ts";
export { formerCut, splitWords, type WordCut } from "./word-cut.ts";
