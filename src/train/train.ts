import { type Adapter, type MultiTaskAdapter, referenceTo, type SavedAdapter } from "../adapters/index.ts";
import { PtuningError, Rng } from "../core/index.ts";
import { evaluateSession } from "../predict/index.ts";
import type { Encoded } from "../tasks/index.ts";
import { itemCount, shuffledBatches } from "../text/index.ts";
import { joinEvaluations, type TaskEvaluation } from "./evaluations.ts";
import type { TrainEvent } from "./events.ts";
import { finish } from "./finish.ts";
import type { AnyTrainOptions, MultiTaskOptions, TrainOptions } from "./options.ts";
import { type Run, type RunTask, setUp } from "./set-up.ts";
import { start } from "./start-event.ts";
import type { EvaluationRecord, TrainingState } from "./state.ts";
import type { Stepper } from "./stepper.ts";

/**
 * Tunes a method and a head on a frozen backbone, or a head for each of several tasks. An async generator: it does nothing until events are taken,
 * and each event is handed out before the run goes on. Equal options give equal numbers on the same machine,
 * also when the run was stopped and resumed.
 *
 * @throws OPTION_INVALID, DATA_INVALID, SEQUENCE_TOO_LONG before the first step; TRAINING_DIVERGED where the
 *   loss or a gradient is not a number; RUN_INVALID if `resume` belongs to another run
 * @example
 * for await (const event of train({ backbone, task, data, method: deepPrompt(), seed: 11 })) {
 *   if (event.type === "step") console.log(event.step, event.loss);
 *   if (event.type === "done") await event.adapter.save("./adapters/mine");
 * }
 */
export function train<E, N extends Encoded, P>(
  options: TrainOptions<E, N, P>,
): AsyncGenerator<TrainEvent<Adapter>>;
export function train(options: MultiTaskOptions): AsyncGenerator<TrainEvent<MultiTaskAdapter>>;
export function train(options: AnyTrainOptions): AsyncGenerator<TrainEvent<SavedAdapter>>;
export async function* train(options: AnyTrainOptions): AsyncGenerator<TrainEvent<SavedAdapter>> {
  const run = await setUp(options);
  try {
    yield* loop(run, options.signal);
  } finally {
    await run.close();
  }
}

/** An answer that comes within this time was there before it was asked for. */
const sameMomentMs = 1;

async function* loop(run: Run, signal: AbortSignal | undefined): AsyncGenerator<TrainEvent<SavedAdapter>> {
  const { settings, stepsPerEpoch, totalSteps } = run;
  yield* start(run);
  let lastCheckpoint = performance.now();
  const prepare = updatePreparer(run);
  let reason: "finished" | "early" | "aborted" = isExhausted(run) ? "early" : "finished";
  let next = run.step < totalSteps && reason === "finished" ? prepare(run.step) : undefined;
  while (next !== undefined) {
    const started = performance.now();
    const { task, done, batch } = next;
    const running = task.stepper.run(batch);
    // The next batch is made while the engine computes.
    next = run.step + 1 < totalSteps ? prepare(run.step + 1) : undefined;
    const prepared = performance.now();
    const loss = await running;
    // Where the engine still had to be waited for, it never waited for the batch.
    const isEngineLast = performance.now() - prepared > sameMomentMs;
    const gradientNorm = await run.store.gradientNorm();
    const learningRate = run.rate(run.step);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) throw diverged(run, loss, learningRate);
    await run.store.update(run.step, (name) =>
      run.tasks.reduce((sum, { trained }, i) => sum + (trained.has(name) ? done[i]! : 0), 0),
    );
    run.step++;
    run.lossSum += loss;
    run.lossCount++;
    const finished = performance.now();
    yield {
      type: "step",
      step: run.step,
      epoch: Math.ceil(run.step / stepsPerEpoch),
      ...(task.name && { task: task.name }),
      loss,
      learningRate,
      gradientNorm,
      examples: batch.examples,
      tokens: batch.tokens,
      seconds: (finished - started) / 1000,
      dataSeconds: isEngineLast ? 0 : (prepared - started) / 1000,
    };
    const every = settings.evaluateEvery === "epoch" ? stepsPerEpoch : settings.evaluateEvery;
    const isLast = run.step === totalSteps;
    if (run.step % every === 0 || isLast) {
      yield* evaluate(run);
      if (isExhausted(run)) {
        reason = "early";
        next = undefined;
      }
    }
    if (signal?.aborted && next !== undefined) {
      reason = "aborted";
      next = undefined;
    }
    const due = performance.now() - lastCheckpoint >= settings.checkpointSeconds * 1000;
    if (due || next === undefined || run.step % every === 0) {
      yield { type: "checkpoint", state: await snapshot(run) };
      lastCheckpoint = performance.now();
    }
  }
  yield* finish(run, reason);
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
  const orders = new Map<RunTask, { pass: number; batches: Int32Array[] }>();
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

async function* evaluate(run: Run): AsyncGenerator<TrainEvent> {
  const started = performance.now();
  const results: TaskEvaluation[] = [];
  for (const { inference, name, task, selectBy, devSet } of run.tasks) {
    if (inference === undefined) continue;
    await run.store.bindTo(inference);
    const evaluation = await evaluateSession(inference, task, devSet, run.backbone, (pass) =>
      run.cache ? run.cache.feeds(devSet, pass) : {},
    );
    results.push({ name, selectBy: selectBy ?? task.selectBy, evaluation });
  }
  if (results.length === 0) return;
  const record: EvaluationRecord = {
    step: run.step,
    epoch: run.step / run.stepsPerEpoch,
    ...joinEvaluations(results),
  };
  const isBest = run.best === undefined || selected(run, record) > selected(run, run.best.evaluation);
  if (isBest) run.best = { evaluation: record, params: await run.store.params() };
  run.evaluations.push(record);
  yield {
    type: "evaluation",
    ...record,
    trainLoss: run.lossSum / Math.max(1, run.lossCount),
    best: isBest,
    seconds: (performance.now() - started) / 1000,
  };
  run.lossSum = 0;
  run.lossCount = 0;
}

/** The number by which states are compared: higher is better. */
function selected(
  { settings: { selectBy }, scores: known }: Run,
  { scores, loss }: EvaluationRecord,
): number {
  if (selectBy === "loss") return -loss;
  return known.get(selectBy) === "lower" ? -scores[selectBy]! : scores[selectBy]!;
}

/** Whether `patience` evaluations have passed without a better one. */
function isExhausted({ settings: { patience }, evaluations, best }: Run): boolean {
  if (patience === 0 || best === undefined) return false;
  return evaluations.filter(({ step }) => step > best.evaluation.step).length >= patience;
}

async function snapshot(run: Run): Promise<TrainingState> {
  const { step, store, best, evaluations, lossSum, lossCount, identity, frozen, options, tasks } = run;
  const { backbone, method } = options;
  const [params, optimizer] = [await store.params("look"), await store.optimizerState()];
  const origin = {
    backbone: referenceTo(backbone),
    method: { name: method.name, options: method.options },
    tasks: Object.fromEntries(tasks.map(({ name, task: { type, options } }) => [name, { type, options }])),
  };
  const fixed = tasks[0]!.parts.fixed ?? {};
  const moving = { step, params, optimizer, best, evaluations, lossSum, lossCount };
  return { ...moving, identity, frozen, fixed, origin };
}

function diverged(run: Run, loss: number, learningRate: number): PtuningError {
  return new PtuningError(
    "TRAINING_DIVERGED",
    `step ${run.step + 1}: expected a finite loss and finite gradients, got a loss of ${loss} at learning rate ${learningRate}.`,
    { hint: "Try a learning rate three to ten times lower, warmupSteps, or a smaller clipNorm." },
  );
}
