import type { SearchParameter, SearchRange } from "../config/index.ts";
import { PtuningError, type Rng } from "../core/index.ts";

/** One point of a search: values by dotted key. */
export type Point = Readonly<Record<string, unknown>>;

/** The values that are searched, by dotted key. */
export type Space = Readonly<Record<string, SearchParameter>>;

const isChoices = (parameter: SearchParameter): parameter is readonly unknown[] => Array.isArray(parameter);

/** Whether every key has a list of values to choose from. */
export function hasOnlyChoices(space: Space): boolean {
  return Object.values(space).every(isChoices);
}

/** The values that a grid takes of a parameter. @throws CONFIG_INVALID for a range that does not say how many */
function gridValues(key: string, parameter: SearchParameter): readonly unknown[] {
  if (isChoices(parameter)) return parameter;
  const { points, step } = parameter;
  const [low, high] = ends(parameter);
  if (points !== undefined) {
    const values = Array.from({ length: points }, (_, i) => at(parameter, i / (points - 1)));
    return [...new Set(values)];
  }
  if (step === undefined || parameter.logUniform !== undefined) {
    throw new PtuningError(
      "CONFIG_INVALID",
      `search.space.${key}: expected a list of values or points for a grid, got a range.`,
      { hint: "Say how many numbers of the range the grid takes: points: 5. Or use strategy: random." },
    );
  }
  return Array.from({ length: Math.floor((high - low) / step + 1e-9) + 1 }, (_, i) => tidy(low + i * step));
}

/** Values that say whether a key takes what a parameter has: its choices, or the ends of its range. */
export function exemplars(parameter: SearchParameter): readonly unknown[] {
  return isChoices(parameter) ? parameter : [at(parameter, 0), at(parameter, 1)];
}

/** Every combination of values, the last key fastest. */
export function gridPoints(space: Space): Point[] {
  let points: Point[] = [{}];
  for (const [key, parameter] of Object.entries(space)) {
    const values = gridValues(key, parameter);
    points = points.flatMap((point) => values.map((value) => ({ ...point, [key]: value })));
  }
  return points;
}

/** Different points of a space at random, as many as are taken or as there are. */
export function* drawPoints(space: Space, rng: Rng): Generator<Point> {
  const seen = new Set<string>();
  for (let misses = 0; misses < mostMisses; misses++) {
    const entries = Object.entries(space).map(([key, parameter]) => [key, draw(parameter, rng)]);
    const point: Point = Object.fromEntries(entries);
    const name = JSON.stringify(point);
    if (seen.has(name)) continue;
    seen.add(name);
    misses = -1;
    yield point;
  }
}

/** Draws in a row that were there before, after which a space counts as used up. */
const mostMisses = 1000;

function draw(parameter: SearchParameter, rng: Rng): unknown {
  return isChoices(parameter) ? parameter[rng.integer(parameter.length)] : at(parameter, rng.uniform());
}

function ends({ uniform, logUniform }: SearchRange): readonly [number, number] {
  return (uniform ?? logUniform)!;
}

/** The number at a share of the way from the lower end to the upper, on the range's own scale. */
function at(range: SearchRange, share: number): number {
  const [low, high] = ends(range);
  const value = range.uniform ? low + share * (high - low) : low * (high / low) ** share;
  if (range.step === undefined) return tidy(value);
  const rounded = Math.round(value / range.step) * range.step;
  const least = Math.ceil(low / range.step - 1e-9) * range.step;
  const most = Math.floor(high / range.step + 1e-9) * range.step;
  return tidy(Math.min(most, Math.max(least, rounded)));
}

/** Four digits are enough to search with, and short enough to read. */
function tidy(value: number): number {
  return Number(value.toPrecision(4));
}
