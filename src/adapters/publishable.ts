import { findSecret, PtuningError } from "../core/index.ts";

/**
 * Refuses secrets among the texts that an adapter folder keeps in the open: labels and other settings, columns, names
 * of heads. Such folders get published.
 * @param parts by the name that a message gives them
 * @throws DATA_INVALID naming the place, never the text
 */
export function expectPublishable(parts: Readonly<Record<string, unknown>>): void {
  const found = findSecret(parts);
  if (found === undefined) return;
  const { path, kind, inKey } = found;
  const place = (inKey ? [...path.slice(0, -1), "***"] : path).join(".");
  throw new PtuningError("DATA_INVALID", `${place}: expected no secret, got what looks like ${kind}.`, {
    hint: "An adapter keeps its labels and settings, and gets published. Check which column holds the label.",
  });
}
