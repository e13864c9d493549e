import type { HalvingConfig, SearchConfig } from "../config/index.ts";
import { PtuningError, Rng } from "../core/index.ts";
import { drawPoints, gridPoints, type Point, type Space } from "./space.ts";

/** What is searched, with every key of the preset in the space. */
export type Search = SearchConfig & { readonly space: Space };

/** Score of a point that was run: higher is better; none where the trial failed. */
export type ScoreOf = (point: Point) => number | undefined;

/** How the points of a search are chosen. Equal searches and scores give equal points, so that a search can go on. */
export interface Strategy {
  /** Number of trials, where it is known. @throws CONFIG_INVALID if the search lacks what the strategy needs */
  count(search: Search): number | undefined;
  /** Points to run before the next are chosen, batch by batch. */
  batches(search: Search): Generator<Iterable<Point>, void, ScoreOf>;
}

/** Every combination; under a budget in random order, as a part of a grid in order would be one corner of it. */
const grid: Strategy = {
  count: ({ space, runs }) => Math.min(runs ?? Number.POSITIVE_INFINITY, gridPoints(space).length),
  *batches({ space, seed, runs, minutes }) {
    const points = gridPoints(space);
    yield runs === undefined && minutes === undefined ? points : new Rng(seed, "grid").shuffle(points);
  },
};

/** Points at random, until the budget ends. */
const random: Strategy = {
  count: ({ runs, minutes }) => {
    if (runs === undefined && minutes === undefined) {
      throw new PtuningError("CONFIG_INVALID", "search: expected runs or minutes for a random search.", {
        hint: "Say how much to search: --runs 24 or --minutes 60.",
      });
    }
    return runs;
  },
  *batches({ space, seed }) {
    yield drawPoints(space, new Rng(seed, "random"));
  },
};

/**
 * Successive halving (Jamieson & Talwalkar, 2016): all configurations with the least resource, the best 1/factor of
 * them with factor times as much, and so on. Each rung trains anew: a schedule that ends with the rung is part of what
 * is compared.
 */
const halving: Strategy = {
  count: (search) => {
    const sizes = rungSizes(search);
    return sizes.reduce((sum, size) => sum + size, 0);
  },
  *batches(search) {
    const settings = halvingOf(search);
    const { resource } = settings;
    const { [resource]: _, ...space } = search.space;
    const sizes = rungSizes(search);
    let points = takeFrom(drawPoints(space, new Rng(search.seed, "halving")), sizes[0]!);
    for (const [rung, size] of sizes.entries()) {
      points = points.slice(0, size).map((point) => ({ ...point, [resource]: rungResource(settings, rung) }));
      const scoreOf = yield points;
      points = points
        .map((point) => ({ point, score: scoreOf(point) }))
        .filter(({ score }) => score !== undefined)
        .sort((a, b) => b.score! - a.score!)
        .map(({ point }) => point);
    }
  },
};

/** Strategies by name. */
export const strategies: Readonly<Record<NonNullable<SearchConfig["strategy"]>, Strategy>> = {
  grid,
  random,
  halving,
};

function halvingOf({ halving: settings }: Search): HalvingConfig {
  if (settings !== undefined && settings.least <= settings.most) return settings;
  throw new PtuningError(
    "CONFIG_INVALID",
    `search.halving: expected {least, most} with least ≤ most, got ${JSON.stringify(settings) ?? "nothing"}.`,
    { hint: "For example: --halving 1,9 for 1, 3 and 9 epochs." },
  );
}

/** Rungs above the first. */
function climbs({ least, most, factor }: HalvingConfig): number {
  return Math.floor(Math.log(most / least) / Math.log(factor) + 1e-9);
}

/** The resource of a rung: the last has all of it. */
function rungResource(settings: HalvingConfig, rung: number): number {
  const { least, most, factor } = settings;
  return Math.max(least, Math.round(most / factor ** (climbs(settings) - rung)));
}

/** How many configurations each rung has: as many as the budget allows where nobody says. */
function rungSizes(search: Search): number[] {
  const settings = halvingOf(search);
  const { factor } = settings;
  const rungs = climbs(settings) + 1;
  const from = (first: number): number[] =>
    Array.from({ length: rungs }, (_, rung) => Math.max(1, Math.floor(first / factor ** rung)));
  const total = (first: number): number => from(first).reduce((sum, size) => sum + size, 0);
  if (settings.configurations !== undefined) return from(settings.configurations);
  let first = factor ** (rungs - 1);
  if (search.runs !== undefined) {
    first = 1;
    while (total(first + 1) <= search.runs) first++;
  }
  return from(first);
}

function takeFrom<T>(values: Iterable<T>, count: number): T[] {
  const taken: T[] = [];
  for (const value of values) {
    taken.push(value);
    if (taken.length === count) break;
  }
  return taken;
}
