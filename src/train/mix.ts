import type { Rng } from "../core/index.ts";
import type { Sampling } from "./settings.ts";

/** Which task each update is of. */
export interface Mix {
  readonly stepsPerEpoch: number;
  /** The task of an update, and how many updates of each task came before it. */
  at(step: number): { readonly task: number; readonly done: readonly number[] };
}

/**
 * Shares the updates of each epoch out among tasks: an epoch has as many as one pass over all data. The order is known
 * from the seed alone, so that a resumed run goes on with it.
 * @param batches number of batches in one pass over each task's data
 * @param weights how often each is trained, beside its size
 */
export function mixTasks(
  batches: readonly number[],
  sampling: Sampling,
  weights: readonly number[],
  rng: Rng,
): Mix {
  const stepsPerEpoch = batches.reduce((sum, count) => sum + count, 0);
  if (sampling === "round-robin") {
    const cycle = batches.length;
    return {
      stepsPerEpoch,
      at: (step) => ({
        task: step % cycle,
        done: batches.map((_, task) => Math.ceil((step - task) / cycle)),
      }),
    };
  }
  const temperature = sampling === "proportional" ? 1 : sampling.temperature;
  const counts = apportion(
    batches.map((count, task) => weights[task]! * count ** (1 / temperature)),
    stepsPerEpoch,
  );
  // Updates are asked for in turn: counting goes on from the one before.
  let known: { epoch: number; order: Int32Array; place: number; done: number[] } | undefined;
  return {
    stepsPerEpoch,
    at(step) {
      const epoch = Math.floor(step / stepsPerEpoch);
      const place = step % stepsPerEpoch;
      if (known?.epoch !== epoch || known.place > place) {
        const order = Int32Array.from(counts.flatMap((count, task) => new Array<number>(count).fill(task)));
        const done = counts.map((count) => epoch * count);
        known = { epoch, order: rng.split(epoch).shuffle(order), place: 0, done };
      }
      for (; known.place < place; known.place++) known.done[known.order[known.place]!]!++;
      return { task: known.order[place]!, done: [...known.done] };
    },
  };
}

/** Whole numbers in the given proportions with a given sum, by largest remainders; none is 0 where the sum allows it. */
function apportion(shares: readonly number[], total: number): number[] {
  const sum = shares.reduce((a, b) => a + b, 0);
  const exact = shares.map((share) => (share / sum) * total);
  const counts = exact.map((share) => Math.max(1, Math.floor(share)));
  const gap = (i: number): number => exact[i]! - counts[i]!;
  for (let rest = total - counts.reduce((a, b) => a + b, 0); rest !== 0; rest -= Math.sign(rest)) {
    const candidates = counts.flatMap((count, i) => (rest > 0 || count > 1 ? [i] : []));
    const chosen = candidates.reduce((best, i) => (Math.sign(rest) * (gap(i) - gap(best)) > 0 ? i : best));
    counts[chosen]! += Math.sign(rest);
  }
  return counts;
}
