import { greatest, least } from "../core/index.ts";

/** The values of one key over many trials, as a few levels. */
export interface Levels {
  /** Texts of the levels, in order. */
  readonly names: readonly string[];
  /** The level of each value. */
  readonly of: readonly number[];
}

/** Different numbers up to which each is a level of its own. */
const mostDistinct = 8;
/** Levels that numbers from a range are put into: few enough that each has several trials. */
const mostBins = 5;
const trialsPerBin = 4;

/** Sorts values into levels: each its own, or, of many different numbers, ranges with equally many trials. */
export function levelsOf(values: readonly unknown[]): Levels {
  const texts = values.map((value) => valueText(value));
  const distinct = new Map(values.map((value, i) => [texts[i]!, value]));
  const isNumeric = values.every((value) => typeof value === "number");
  if (!isNumeric || distinct.size <= mostDistinct) {
    const names = [...distinct.keys()];
    if (isNumeric) names.sort((a, b) => (distinct.get(a) as number) - (distinct.get(b) as number));
    return { names, of: texts.map((text) => names.indexOf(text)) };
  }
  const sorted = (values as number[]).toSorted((a, b) => a - b);
  const bins = Math.max(2, Math.min(mostBins, Math.floor(values.length / trialsPerBin)));
  // The lowest number of each level.
  const starts = Array.from({ length: bins }, (_, bin) => sorted[Math.floor((bin * sorted.length) / bins)]!);
  const kept = [...new Set(starts)];
  const of = (values as number[]).map((value) => kept.findLastIndex((start) => value >= start));
  const names = kept.map((_, bin) => {
    const members = (values as number[]).filter((_, i) => of[i] === bin);
    const [low, high] = [least(members), greatest(members)];
    return low === high ? valueText(low) : `${valueText(low)} – ${valueText(high)}`;
  });
  return { names, of };
}

/** A value as tables show it: `0.001` as `1e-3`. */
export function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "number") return JSON.stringify(value);
  const isSmall = value !== 0 && Math.abs(value) < 0.01;
  return isSmall ? value.toExponential().replace("e+", "e") : String(value);
}
