/** Two 4-bit numbers in a byte. Not beside the op that reads them: what that file exports is a row of the op table each. */

/** What stands for 0 of the 4-bit numbers, and the lowest number is as far below. */
export const fourBitZero = 8;

/** The two numbers of a byte, that of the lower half first. */
export const numbersOfByte = (byte: number): readonly [number, number] => [
  (byte & 15) - fourBitZero,
  (byte >> 4) - fourBitZero,
];
