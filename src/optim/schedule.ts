/** Learning rate as a function of the number of updates done. */
export type Schedule = (step: number) => number;

/** What a schedule depends on. */
export interface ScheduleFacts {
  readonly peak: number;
  readonly totalSteps: number;
  /** Below 1, a share of `totalSteps`, rounded up. */
  readonly warmupSteps: number;
  readonly stepsPerEpoch: number;
}

/** Factor per epoch of the exponential schedule, as in the reference's `ExponentialTrainer`. */
const epochDecay = 0.95;

/** Names of schedules in configs. */
export type ScheduleName = "linear" | "constant" | "exponential";

/** Shapes after warm-up, by name in configs. */
const shapes: { readonly [N in ScheduleName]: (step: number, facts: ScheduleFacts) => number } = {
  /** Straight to 0 at the last step. */
  linear: (step, facts) =>
    Math.max(0, (facts.totalSteps - step) / Math.max(1, facts.totalSteps - facts.warmupSteps)),
  constant: () => 1,
  /** Times 0.95 after each epoch. */
  exponential: (step, facts) => epochDecay ** Math.floor(step / facts.stepsPerEpoch),
};

/** All schedule names. */
export const scheduleNames: readonly ScheduleName[] = Object.keys(shapes) as ScheduleName[];

/** A schedule by name: linear warm-up from 0 over `warmupSteps`, then its shape. */
export function schedule(name: ScheduleName, given: ScheduleFacts): Schedule {
  const shape = shapes[name];
  const { warmupSteps: asked, totalSteps } = given;
  const facts = { ...given, warmupSteps: asked < 1 ? Math.ceil(asked * totalSteps) : asked };
  return (step) => facts.peak * (step < facts.warmupSteps ? step / facts.warmupSteps : shape(step, facts));
}
