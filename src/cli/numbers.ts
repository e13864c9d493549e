import { PtuningError } from "../core/index.ts";

/** A whole number above 0 that was given for a flag. @throws OPTION_INVALID */
export function positive(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new PtuningError("OPTION_INVALID", `${flag}: expected a whole number above 0, got "${text}".`);
}
