/**
 * Characters that a terminal or a page would act on instead of showing them: control characters, escape sequences among
 * them, direction overrides and what is invisible. Not joiners, which belong to emoji and several scripts, nor the
 * signs that Arabic, Syriac and Kaithi write around numbers.
 */
const acting =
  /(?!\u200c|\u200d|[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2]|\u{110bd}|\u{110cd})[\p{Cc}\p{Cf}\u2028\u2029]/gu;
const actingButLines = new RegExp(`(?![\\n\\t])${acting.source}`, "gu");

function shown(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  if (character === "\r") return "\\r";
  const code = character.codePointAt(0)!;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/**
 * A text on one line for a terminal: control characters, escape sequences and line ends are shown, not sent;
 * direction overrides and other invisible characters too.
 * @example
 * escapeControls("a\u001b[2Jb\n"); // "a\\x1b[2Jb\\n"
 */
export function escapeControls(text: string): string {
  return text.replace(acting, shown);
}

/** The same for a text of several lines: its line ends and tabs stay. */
export function escapeLines(text: string): string {
  return text.replace(actingButLines, shown);
}

/** A value as JSON on one line in which such characters stand as `\u…`: still the same value for who parses it. */
export function jsonLine(value: unknown): string {
  const json = JSON.stringify(value);
  // Undefined where there is nothing to write, as JSON.stringify has it.
  return json?.replace(acting, (character) =>
    Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
      .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
      .join(""),
  );
}
