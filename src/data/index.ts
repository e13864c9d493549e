export { escapeCell, restoreCell, rowColumn } from "./cells.ts";
export type { OffsetUnit } from "./counting.ts";
export { type DatasetOptions, readDataset, usualDevShare } from "./dataset.ts";
export { FirstRows } from "./first-rows.ts";
export type { FileLook, Format, FormatInput, Reader, Row, Split } from "./format.ts";
export { type FormatName, formats } from "./formats.ts";
export { type Guess, guessReading } from "./guess.ts";
export { isByColumn, isJsonLines, outlineOf } from "./json-outline.ts";
export { PackedExamples } from "./packed.ts";
export * from "./portable.ts";
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
export { type TextLinesOptions, textLines } from "./text-lines.ts";
