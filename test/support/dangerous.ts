/** Code points that a terminal or a page acts on: C0 but for line end and tab, DEL and C1, bidirectional controls. */
const ranges: readonly (readonly [from: number, to: number])[] = [
  [0x00, 0x08],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  [0x61c, 0x61c],
  [0x200b, 0x200b],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xfeff, 0xfeff],
];

/** Those of a text, as hexadecimal numbers. */
export function dangerousIn(text: string): string[] {
  return Array.from(text, (character) => character.codePointAt(0)!)
    .filter((code) => ranges.some(([from, to]) => code >= from && code <= to))
    .map((code) => code.toString(16));
}

/** A text without the colours that the command line itself uses. */
export function withoutOwnStyles(text: string): string {
  return [1, 2, 22, 31, 32, 33, 36, 39].reduce((rest, code) => rest.replaceAll(`\u001b[${code}m`, ""), text);
}
