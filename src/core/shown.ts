/** Values of users stand in messages with this many characters at most. */
const shownCharacters = 80;

/** A value as a message quotes it: as JSON, cut where it is long. */
export function shown(value: unknown, characters: number = shownCharacters): string {
  // JSON has no NaN.
  if (typeof value === "number") return String(value);
  const exact = (_key: string, part: unknown): unknown => (typeof part === "bigint" ? String(part) : part);
  // Whole texts of megabytes are not even written as JSON.
  const short = typeof value === "string" ? value.slice(0, characters + 1) : value;
  let text: string | undefined;
  try {
    text = JSON.stringify(short, exact);
  } catch {
    // Too deep, or a circle.
    return "a nested value";
  }
  return cut(text ?? "nothing", characters);
}

/** Names as a message lists them: the first of many, each cut where it is long. */
export function shownNames(names: readonly string[], count = 12, characters = 40): string {
  const listed = names.slice(0, count).map((name) => cut(name.replace(/\s+/g, " "), characters));
  return `${listed.join(", ")}${names.length > count ? ", …" : ""}`;
}

function cut(text: string, characters: number): string {
  if (text.length <= characters) return text;
  // Never half of a character.
  const end = /[\ud800-\udbff]/.test(text[characters - 2]!) ? characters - 2 : characters - 1;
  return `${text.slice(0, end)}…`;
}
