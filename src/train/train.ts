import { referenceTo } from "../adapters/index.ts";
import { PtuningError, Rng } from "../core/index.ts";
import { evaluateSession } from "../predict/index.ts";
import type { Encoded } from "../tasks/index.ts";
import { bucketedBatches } from "../text/index.ts";
import type { TrainEvent } from "./events.ts";
import { finish } from "./finish.ts";
import type { TrainOptions } from "./options.ts";
import { type Run, setUp } from "./set-up.ts";
import type { EvaluationRecord, TrainingState } from "./state.ts";

/**
 * Tunes a method and a head on a frozen backbone. An async generator: it does nothing until events are taken,
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
export async function* train<E, N extends Encoded, P>(
  options: TrainOptions<E, N, P>,
): AsyncGenerator<TrainEvent> {
  const run = await setUp(options as TrainOptions);
  try {
    yield* loop(run, options.signal);
  } finally {
    await run.close();
  }
}

/** An answer that comes within this time was there before it was asked for. */
const sameMomentMs = 1;

async function* loop(run: Run, signal: AbortSignal | undefined): AsyncGenerator<TrainEvent> {
  const { settings, stepper, stepsPerEpoch, totalSteps } = run;
  yield* start(run);
  let lastCheckpoint = performance.now();
  let epochBatches: { epoch: number; batches: Int32Array[] } | undefined;
  const prepare = (step: number): ReturnType<typeof stepper.prepare> => {
    const epoch = Math.floor(step / stepsPerEpoch);
    if (epochBatches?.epoch !== epoch) {
      const rng = new Rng(settings.seed, "batches", epoch);
      epochBatches = { epoch, batches: bucketedBatches(run.trainSet, settings.batchSize, rng) };
    }
    return stepper.prepare(epochBatches.batches[step % stepsPerEpoch]!, step);
  };
  let reason: "finished" | "early" | "aborted" = isExhausted(run) ? "early" : "finished";
  let next = run.step < totalSteps && reason === "finished" ? prepare(run.step) : undefined;
  while (next !== undefined) {
    const started = performance.now();
    const { examples, tokens } = next;
    const running = stepper.run(next);
    // The next batch is made while the engine computes.
    next = run.step + 1 < totalSteps ? prepare(run.step + 1) : undefined;
    const prepared = performance.now();
    const loss = await running;
    // Where the engine still had to be waited for, it never waited for the batch.
    const isEngineLast = performance.now() - prepared > sameMomentMs;
    const gradientNorm = await run.store.gradientNorm();
    const learningRate = run.rate(run.step);
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) throw diverged(run, loss, learningRate);
    await run.store.update(run.step);
    run.step++;
    run.lossSum += loss;
    run.lossCount++;
    const finished = performance.now();
    yield {
      type: "step",
      step: run.step,
      epoch: Math.ceil(run.step / stepsPerEpoch),
      loss,
      learningRate,
      gradientNorm,
      examples,
      tokens,
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

function* start(run: Run): Generator<TrainEvent> {
  const { settings, trainSet, devSet, backbone } = run;
  const [train, dev] = [trainSet.sequences, devSet.sequences];
  yield {
    type: "start",
    inventory: run.inventory,
    settings,
    examples: { train: trainSet.count, dev: devSet.count },
    truncated: { train: train.truncated, dev: dev.truncated },
    stepsPerEpoch: run.stepsPerEpoch,
    totalSteps: run.totalSteps,
    startStep: run.step,
    engine: backbone.engine.name,
    memory: {
      microBatchSize: run.stepper.microBatchSize,
      estimatedBytes: Math.round(run.stepper.estimatedBytes),
    },
  };
  if (run.cache) yield run.cache.event;
  for (const message of run.options.data.warnings) yield { type: "warning", code: "data", message };
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
  if (train.truncated > 0) {
    const share = ((100 * train.truncated) / train.count).toFixed(1);
    yield {
      type: "warning",
      code: "truncated",
      message: `${train.truncated} training texts (${share} %) are longer than maxLength ${settings.maxLength} and were cut.`,
    };
  }
}

async function* evaluate(run: Run): AsyncGenerator<TrainEvent> {
  if (run.inference === undefined) return;
  const started = performance.now();
  await run.store.bindTo(run.inference);
  const { inference, task, devSet, backbone, cache } = run;
  const result = await evaluateSession(inference, task, devSet, backbone, (pass) =>
    cache ? cache.feeds(devSet, pass) : {},
  );
  const record: EvaluationRecord = { step: run.step, epoch: run.step / run.stepsPerEpoch, ...result };
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
function selected({ settings: { selectBy }, task }: Run, { scores, loss }: EvaluationRecord): number {
  if (selectBy === "loss") return -loss;
  return task.lowerIsBetter?.includes(selectBy) ? -scores[selectBy]! : scores[selectBy]!;
}

/** Whether `patience` evaluations have passed without a better one. */
function isExhausted({ settings: { patience }, evaluations, best }: Run): boolean {
  if (patience === 0 || best === undefined) return false;
  return evaluations.filter(({ step }) => step > best.evaluation.step).length >= patience;
}

async function snapshot(run: Run): Promise<TrainingState> {
  const { step, store, best, evaluations, lossSum, lossCount, identity, frozen, options } = run;
  const { backbone, method, task } = options;
  const [params, optimizer] = [await store.params("look"), await store.optimizerState()];
  const origin = {
    backbone: referenceTo(backbone),
    method: { name: method.name, options: method.options },
    task: { type: task.type, options: task.options },
  };
  return { step, params, optimizer, best, evaluations, lossSum, lossCount, identity, frozen, origin };
}

function diverged(run: Run, loss: number, learningRate: number): PtuningError {
  return new PtuningError(
    "TRAINING_DIVERGED",
    `step ${run.step + 1}: expected a finite loss and finite gradients, got a loss of ${loss} at learning rate ${learningRate}.`,
    { hint: "Try a learning rate three to ten times lower, warmupSteps, or a smaller clipNorm." },
  );
}
