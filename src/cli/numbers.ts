import { PtuningError } from "../core/index.ts";

/** Which numbers a flag takes. */
interface NumberRange {
  readonly whole?: boolean;
  /** The number must be greater. */
  readonly above?: number;
  /** The least that it may be. */
  readonly from?: number;
}

/** Decimal, as JSON and YAML write it: not hexadecimal, no thousands, no decimal comma. */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A number that was given for a flag. @throws OPTION_INVALID naming the flag, what it takes, and the text */
export function numberOf(flag: string, text: string, { whole = false, above, from }: NumberRange): number {
  const value = decimal.test(text.trim()) ? Number(text) : Number.NaN;
  const fits =
    Number.isFinite(value) &&
    (!whole || Number.isSafeInteger(value)) &&
    (above === undefined || value > above) &&
    (from === undefined || value >= from);
  if (fits) return value;
  const range = above === undefined ? (from === undefined ? "" : ` from ${from}`) : ` above ${above}`;
  const kind = whole ? "whole number" : "number";
  const isComma = /^[+-]?\d+,\d+$/.test(text.trim());
  throw new PtuningError(
    "OPTION_INVALID",
    `${flag}: expected a ${kind}${range}, got ${JSON.stringify(text)}.`,
    isComma ? { hint: `Decimals are written with a point: ${text.trim().replace(",", ".")}` } : {},
  );
}

/** A whole number above 0. @throws OPTION_INVALID */
export function positive(flag: string, text: string): number {
  return numberOf(flag, text, { whole: true, above: 0 });
}

/** Any number above 0. @throws OPTION_INVALID */
export function aboveZero(flag: string, text: string): number {
  return numberOf(flag, text, { above: 0 });
}

/** A whole number, as seeds are. @throws OPTION_INVALID */
export function whole(flag: string, text: string): number {
  return numberOf(flag, text, { whole: true });
}

/**
 * Whole numbers above 0 of a flag that may be given several, also joined by commas.
 * @throws OPTION_INVALID if one is none, or there is none
 */
export function positives(flag: string, given: readonly string[]): number[] {
  const parts = given.flatMap((part) => part.split(","));
  return parts.map((part) => positive(flag, part));
}

/** `{ threads }` of a flag, where it was given. @throws OPTION_INVALID */
export function threadsOf(text: string | undefined): { readonly threads?: number } {
  return text === undefined ? {} : { threads: positive("--threads", text) };
}
