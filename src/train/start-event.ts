import type { TrainEvent } from "./events.ts";
import type { Run, RunTask } from "./set-up.ts";

/** What a run says of itself before the first step. */
export function* start(run: Run): Generator<TrainEvent> {
  const { settings, tasks, totalSteps } = run;
  const total = (value: (task: RunTask) => number): number =>
    tasks.reduce((sum, task) => sum + value(task), 0);
  const truncated = total(({ trainSet }) => trainSet.sequences.truncated);
  const steps = run.mix.at(totalSteps).done;
  const facts = tasks.map(({ name, task, trainSet, devSet, selectBy = task.selectBy }, i) => [
    name,
    {
      type: task.type,
      examples: { train: trainSet.count, dev: devSet.count },
      steps: steps[i]!,
      selectBy,
    },
  ]);
  yield {
    type: "start",
    inventory: run.inventory,
    settings,
    examples: { train: total(({ trainSet }) => trainSet.count), dev: total(({ devSet }) => devSet.count) },
    truncated: { train: truncated, dev: total(({ devSet }) => devSet.sequences.truncated) },
    ...("tasks" in run.options && { tasks: Object.fromEntries(facts) }),
    stepsPerEpoch: run.mix.stepsPerEpoch,
    totalSteps,
    startStep: run.progress.step,
    engine: run.backbone.engine.name,
    memory: {
      microBatchSize: Math.min(...tasks.map(({ stepper }) => stepper.microBatchSize)),
      estimatedBytes: Math.round(run.estimatedBytes),
    },
  };
  if (run.options.method.fitsHead && run.options.epochs !== undefined) {
    yield {
      type: "warning",
      code: "unused",
      message: `training.epochs: ${run.options.epochs} says nothing here: ${run.options.method.name} with solver: fit makes no updates, its head is fitted.`,
    };
  }
  if (run.cache) yield run.cache.event;
  for (const message of run.doubts) yield { type: "warning", code: "unverified", message };
  for (const { name, data } of tasks) {
    for (const message of data.warnings)
      yield { type: "warning", code: "data", message: name ? `${name}: ${message}` : message };
  }
  const drawn = run.drawn.filter((name) => name in run.frozen);
  if (drawn.length > 0) {
    yield {
      type: "warning",
      code: "frozen",
      message:
        `The checkpoint has no ${drawn.join(", ")}: drawn at random, they stay frozen and are ` +
        "saved with the adapter.",
    };
  }
  if (truncated > 0) {
    const share = ((100 * truncated) / total(({ trainSet }) => trainSet.sequences.count)).toFixed(1);
    yield {
      type: "warning",
      code: "truncated",
      message: `${truncated} training texts (${share} %) are longer than maxLength ${settings.maxLength} and were cut.`,
    };
  }
}
