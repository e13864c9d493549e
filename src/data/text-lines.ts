import { type Line, linesOf } from "./lines.ts";
import type { ReadOptions } from "./options.ts";
import { decodeText, openTextFile } from "./source.ts";

/** A text per line: what {@link textLines} reads. */
export interface TextLinesOptions extends Pick<ReadOptions, "encoding" | "maxUnpackedBytes"> {
  /** Bytes in place of a file: standard input. The path is then a name for messages. */
  readonly bytes?: AsyncIterable<Uint8Array>;
}

/**
 * The lines of a text file or of a stream, blank ones too, numbered from 1; memory stays flat however many they are.
 * @throws DATA_NOT_FOUND, OPTION_INVALID, or DATA_INVALID naming the line
 */
export async function* textLines(
  path: string,
  { bytes, ...options }: TextLinesOptions = {},
): AsyncGenerator<Line> {
  const chunks =
    bytes === undefined ? (await openTextFile(path, options)).chunks : decodeText(path, bytes, options);
  yield* linesOf({
    path,
    text: () => chunks,
    reject(error) {
      throw error;
    },
  });
}
