import { elementCount, PtuningError } from "../core/index.ts";
import type { ParamShapes } from "../model/index.ts";
import type { EvaluationRecord, TrainingState } from "./state.ts";

/** What moves on while a run trains, beside the tensors; training states hold it. */
export interface Progress {
  /** Updates done. */
  step: number;
  readonly evaluations: EvaluationRecord[];
  /** The state that evaluated best so far. */
  best: TrainingState["best"];
  /** Sum and number of the losses since the last evaluation. */
  lossSum: number;
  lossCount: number;
}

/** Where a run begins: nowhere, or where a saved state left off. */
export function progressFrom(state?: TrainingState): Progress {
  return {
    step: state?.step ?? 0,
    evaluations: [...(state?.evaluations ?? [])],
    best: state?.best,
    lossSum: state?.lossSum ?? 0,
    lossCount: state?.lossCount ?? 0,
  };
}

/**
 * Refuses a state that no run with these tensors can have been in.
 * @throws RUN_INVALID
 */
export function checkResumed(
  { step, lossCount, evaluations, best, params }: TrainingState,
  shapes: ParamShapes,
  totalSteps: number,
): void {
  const expect = (holds: boolean, what: string, got: unknown): void => {
    if (holds) return;
    throw new PtuningError("RUN_INVALID", `resume: expected ${what}, got ${got}.`, {
      hint: "The state is damaged or was made by something else: start the run anew.",
    });
  };
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
  expect(isCount(step) && step <= totalSteps, `a step of 0 to ${totalSteps}`, step);
  expect(isCount(lossCount) && lossCount <= step, `a number of losses of 0 to ${step}`, lossCount);
  const evaluated = [...evaluations, ...(best ? [best.evaluation] : [])].map((evaluation) => evaluation.step);
  for (const at of evaluated) expect(isCount(at) && at <= step, `evaluations up to step ${step}`, at);
  for (const group of [params, ...(best ? [best.params] : [])]) {
    const names = Object.keys(group).sort().join(", ");
    expect(names === Object.keys(shapes).sort().join(", "), "the tensors that the run trains", names);
    for (const [name, { shape }] of Object.entries(shapes)) {
      const own = group[name]!;
      const fits = `${own.shape}` === `${shape}` && own.data.length === elementCount(shape);
      expect(fits, `a tensor "${name}" of [${shape}]`, `[${own.shape}]`);
    }
  }
}
