import type { AnswerParameters } from "./form.ts";

/** Turns a JavaScript string index into a text into the unit that a request asked for. */
export function offsetsIn(text: string, unit: AnswerParameters["offset_unit"]): (index: number) => number {
  // Without characters of two units, both counts are one.
  if (unit === "utf16" || !/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return (index) => index;
  const before = new Int32Array(text.length + 1);
  for (let i = 0; i < text.length; i++) {
    const isSecond = i > 0 && isLow(text.charCodeAt(i)) && isHigh(text.charCodeAt(i - 1));
    before[i + 1] = before[i]! + (isSecond ? 0 : 1);
  }
  return (index) => before[Math.max(0, Math.min(index, text.length))]!;
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;
