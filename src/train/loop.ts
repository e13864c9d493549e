import { PtuningError, Rng } from "../core/index.ts";
import { itemCount, shuffledBatches } from "../text/portable.ts";
import { offerCheckpoint } from "./checkpoint.ts";
import { comparable, evaluateDev, isBetter, joinEvaluations, type TaskEvaluation } from "./evaluations.ts";
import type { StepEvent, TrainEvent } from "./events.ts";
import type { Plan } from "./plan.ts";
import type { Run, RunTask } from "./set-up.ts";
import type { EvaluationRecord } from "./state.ts";
import type { Stepper } from "./stepper.ts";

/** An answer that comes within this time was there before it was asked for. */
const sameMomentMs = 1;

/** Makes the updates that are left of a run, and its evaluations. */
export async function* loop(run: Run): AsyncGenerator<TrainEvent, "finished" | "early" | "aborted"> {
  const { settings, progress, totalSteps } = run;
  const { signal } = run.options;
  const prepare = updatePreparer(run);
  let lastCheckpoint = performance.now();
  let next: PreparedUpdate | undefined;
  for (let moved = false; ; moved = true) {
    // Of a resumed run that was stopped before or in its evaluation, this makes up for it.
    if (isEvaluationDue(run)) yield* evaluate(run);
    const isOver = progress.step === totalSteps || isExhausted(run);
    // An evaluation that the signal ended is still due.
    const isAborted = signal?.aborted === true && (!isOver || isEvaluationDue(run));
    const isTime = performance.now() - lastCheckpoint >= settings.checkpointSeconds * 1000;
    if (isAborted || (moved && (isOver || isTime || isEvaluationStep(run)))) {
      await using checkpoint = offerCheckpoint(run);
      yield checkpoint.event;
      lastCheckpoint = performance.now();
    }
    if (isAborted) return "aborted";
    if (isExhausted(run)) return "early";
    if (isOver) return "finished";
    // Whoever handled the checkpoint may have aborted.
    if (signal?.aborted) return "aborted";
    const { event, following } = await makeStep(run, next ?? prepare(progress.step), prepare);
    next = following;
    yield event;
  }
}

/** Makes one update, and the feeds of the next one while the engine computes. */
async function makeStep(
  run: Run,
  { task, done, batch }: PreparedUpdate,
  prepare: (step: number) => PreparedUpdate,
): Promise<{ readonly event: StepEvent; readonly following: PreparedUpdate | undefined }> {
  const { store, progress } = run;
  const started = performance.now();
  const running = task.stepper.run(batch);
  // Where the next batch cannot be made, nobody waits for this one.
  running.catch(() => {});
  const following = progress.step + 1 < run.totalSteps ? prepare(progress.step + 1) : undefined;
  const prepared = performance.now();
  const loss = await running;
  // Where the engine still had to be waited for, it never waited for the batch.
  const isEngineLast = performance.now() - prepared > sameMomentMs;
  const gradientNorm = await store.gradientNorm();
  const learningRate = run.rate(progress.step);
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) throw diverged(run, loss, learningRate);
  await store.update(progress.step, (name) =>
    run.tasks.reduce((sum, { trained }, i) => sum + (trained.has(name) ? done[i]! : 0), 0),
  );
  progress.step++;
  progress.lossSum += loss;
  progress.lossCount++;
  const event: StepEvent = {
    type: "step",
    step: progress.step,
    epoch: Math.ceil(progress.step / run.mix.stepsPerEpoch),
    ...(task.name && { task: task.name }),
    loss,
    learningRate,
    gradientNorm,
    examples: batch.examples,
    tokens: batch.tokens,
    seconds: (performance.now() - started) / 1000,
    dataSeconds: isEngineLast ? 0 : (prepared - started) / 1000,
  };
  return { event, following };
}

/** One update before it is made. */
interface PreparedUpdate {
  readonly task: RunTask;
  /** Updates of each task before it. */
  readonly done: readonly number[];
  readonly batch: ReturnType<Stepper["prepare"]>;
}

/** Makes the feeds of updates: each task goes through its own data again and again, every time in another order. */
function updatePreparer({ tasks, mix, settings }: Run): (step: number) => PreparedUpdate {
  const orders = new Map<RunTask, { pass: number; batches: readonly Int32Array[] }>();
  return (step) => {
    const { task: number, done } = mix.at(step);
    const task = tasks[number]!;
    let order = orders.get(task);
    const count = Math.ceil(itemCount(task.trainSet) / settings.batchSize);
    const pass = Math.floor(done[number]! / count);
    if (order?.pass !== pass) {
      const rng = new Rng(settings.seed, "batches", ...(task.name ? [task.name] : []), pass);
      order = { pass, batches: shuffledBatches(task.trainSet, settings.batchSize, rng) };
      orders.set(task, order);
    }
    return { task, done, batch: task.stepper.prepare(order.batches[done[number]! % count]!, step) };
  };
}

/** Whether the run is scored after this update. */
function isEvaluationStep({
  settings: { evaluateEvery },
  mix,
  progress: { step },
  totalSteps,
}: Run): boolean {
  const every = evaluateEvery === "epoch" ? mix.stepsPerEpoch : evaluateEvery;
  return step % every === 0 || step === totalSteps;
}

/** Whether it is to be scored now, and has not been. */
function isEvaluationDue(run: Run): boolean {
  const hasDev = run.tasks.some(({ inference }) => inference !== undefined);
  const { step, evaluations } = run.progress;
  return hasDev && step > 0 && isEvaluationStep(run) && evaluations.at(-1)?.step !== step;
}

/** Scores the dev set; leaves the run as it was where the signal ends it. */
async function* evaluate(run: Run): AsyncGenerator<TrainEvent> {
  const { progress } = run;
  const { signal } = run.options;
  const started = performance.now();
  const results: TaskEvaluation[] = [];
  try {
    for (const one of run.tasks) {
      const { inference, name, task, selectBy = task.selectBy } = one;
      if (inference === undefined) continue;
      await run.store.bindTo(inference);
      results.push({ name, selectBy, evaluation: await evaluateDev(run, one, inference) });
    }
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return;
    throw error;
  }
  const record: EvaluationRecord = {
    step: progress.step,
    epoch: progress.step / run.mix.stepsPerEpoch,
    ...joinEvaluations(results),
  };
  const isBest = progress.best === undefined || isBetterState(run, record, progress.best.evaluation);
  if (isBest) progress.best = { evaluation: record, params: await run.store.params() };
  progress.evaluations.push(record);
  yield {
    type: "evaluation",
    ...record,
    trainLoss: progress.lossSum / Math.max(1, progress.lossCount),
    best: isBest,
    seconds: (performance.now() - started) / 1000,
  };
  progress.lossSum = 0;
  progress.lossCount = 0;
}

/** The number by which states are compared: higher is better. */
function selected({ settings: { selectBy }, scores }: Plan, evaluation: EvaluationRecord): number {
  return comparable(evaluation, selectBy, scores.get(selectBy));
}

/** Whether a state is better than another; where their scores are equal, as often with few dev rows, the loss says it. */
function isBetterState(run: Plan, record: EvaluationRecord, than: EvaluationRecord): boolean {
  const [own, other] = [selected(run, record), selected(run, than)];
  return isBetter(own, other) || (!isBetter(other, own) && record.loss < than.loss);
}

/** Whether `patience` evaluations have passed without a better one. */
function isExhausted({ settings: { patience }, progress: { evaluations, best } }: Run): boolean {
  if (patience === 0 || best === undefined) return false;
  return evaluations.filter(({ step }) => step > best.evaluation.step).length >= patience;
}

function diverged(run: Run, loss: number, learningRate: number): PtuningError {
  return new PtuningError(
    "TRAINING_DIVERGED",
    `step ${run.progress.step + 1}: expected a finite loss and finite gradients, got a loss of ${loss} at learning rate ${learningRate}.`,
    { hint: "Try a learning rate three to ten times lower, warmupSteps, or a smaller clipNorm." },
  );
}
