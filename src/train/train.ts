import { Adapter, attach, referenceTo } from "../adapters/index.ts";
import { type Backbone, withPrecision } from "../backbones/index.ts";
import { type Params, PtuningError, Rng } from "../core/index.ts";
import { hashText, packageVersion } from "../files/index.ts";
import type { Scores } from "../metrics/index.ts";
import {
  checkMaxLength,
  checkTogether,
  foldParams,
  inferenceGraph,
  initializeParams,
  inventory,
  type ModelParts,
  missingWeights,
  rateFactors,
  weightPrefix,
} from "../model/index.ts";
import { optimizers, schedule } from "../optim/index.ts";
import { evaluateSession, settleTask } from "../predict/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { bucketedBatches, itemCount } from "../text/index.ts";
import type { TrainEvent } from "./events.ts";
import { type ResolvedSettings, resolveSettings, type TrainOptions } from "./options.ts";
import type { EvaluationRecord, TrainingState } from "./state.ts";
import { createStepper } from "./stepper.ts";
import { createStore } from "./store.ts";
import { createTrunkCache } from "./trunk.ts";

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

type Run = Awaited<ReturnType<typeof setUp>>;

async function setUp(options: TrainOptions) {
  const { data, method, resume } = options;
  const task = await settleTask(options.task, options.backbone);
  const fp32: ModelParts = { backbone: options.backbone, method, head: task.head };
  checkTogether(fp32, task.pseudoTokens);
  const settings = resolveSettings(options, fp32);
  checkMaxLength(fp32, settings.maxLength);
  if (data.train.length === 0) throw new PtuningError("DATA_INVALID", "train: expected examples, got none.");
  const identity = runIdentity(options, settings);
  if (resume !== undefined && resume.identity !== identity) {
    throw new PtuningError(
      "RUN_INVALID",
      "resume: the saved state belongs to other data, settings or backbone.",
      {
        hint: "Resume with the same configuration and the same files, or start a new run.",
      },
    );
  }
  const backbone = await withPrecision(options.backbone, settings.precision);
  const frozen = missingWeights(fp32, new Rng(settings.seed, "frozen"));
  const parts: ModelParts & { backbone: Backbone } = { ...fp32, backbone, frozen };
  const trainSet = await task.encode(data.train, backbone.tokenizer, settings.maxLength);
  const devSet = await task.encode(data.dev, backbone.tokenizer, settings.maxLength);
  const params =
    structuredClone(resume?.params) ??
    (await initializeParams(parts, new Rng(settings.seed, "init"), labelsOf(task), trainSet.sequences));
  const cache = await createTrunkCache(parts, params, [trainSet, devSet], settings);
  const lower = cache && cache.trunk.layers > 0 ? cache : undefined;
  const inference =
    devSet.count > 0 ? await backbone.engine.compile(inferenceGraph(parts, params, lower?.trunk)) : undefined;
  const stepsPerEpoch = Math.ceil(itemCount(trainSet) / settings.batchSize);
  const totalSteps = stepsPerEpoch * settings.epochs;
  const { learningRate: peak, warmupSteps } = settings;
  const rate =
    options.rateAt ?? schedule(settings.schedule, { peak, totalSteps, warmupSteps, stepsPerEpoch });
  const { weightDecay, clipNorm } = settings;
  const decayed = method.decays;
  const optimizer = optimizers[settings.optimizer];
  const factors = rateFactors(parts, settings.headLearningRate / settings.learningRate);
  const update = { schedule: rate, weightDecay, decayed, clipNorm, rateFactors: factors };
  const store = await createStore(backbone.engine, params, resume?.optimizer, optimizer, update);
  const stepper = await createStepper(parts, task, trainSet, params, store, settings, lower);
  return {
    options,
    backbone,
    task,
    settings,
    identity,
    trainSet,
    devSet,
    inventory: inventory(params, backbone.parameterCount),
    // Fine-tuning trains also what the checkpoint lacks.
    frozen: Object.fromEntries(
      Object.entries(frozen).filter(([name]) => !(`${weightPrefix}${name}` in params)),
    ),
    store,
    best: resume?.best,
    evaluations: [...(resume?.evaluations ?? [])],
    step: resume?.step ?? 0,
    lossSum: resume?.lossSum ?? 0,
    lossCount: resume?.lossCount ?? 0,
    cache,
    stepper,
    inference,
    rate,
    stepsPerEpoch,
    totalSteps,
    async close() {
      await stepper.close();
      await store.close();
      await inference?.release();
      cache?.close();
    },
  };
}

/** The labels of a task, if it has any. */
function labelsOf({ options }: Task): readonly string[] {
  const { labels } = options as { readonly labels?: readonly string[] };
  return labels ?? [];
}

/** What a resumed run must have in common with the saved one. */
function runIdentity({ backbone, task, data, method }: TrainOptions, settings: ResolvedSettings): string {
  const { checkpointSeconds, ...decisive } = settings;
  const facts = [
    backbone.fingerprint,
    [task.type, task.options],
    [method.name, method.options],
    [data.fingerprint, data.train.length, data.dev.length],
    decisive,
  ];
  return hashText(JSON.stringify(facts));
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
  const drawn = Object.keys(run.frozen);
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
  const { step, store, best, evaluations, lossSum, lossCount, identity } = run;
  const [params, optimizer] = [await store.params("look"), await store.optimizerState()];
  return { step, params, optimizer, best, evaluations, lossSum, lossCount, identity };
}

async function* finish(run: Run, reason: "finished" | "early" | "aborted"): AsyncGenerator<TrainEvent> {
  const { options, backbone, task, settings, best } = run;
  if (reason !== "aborted" && best?.evaluation.collapsed) {
    yield {
      type: "warning",
      code: "collapsed",
      message:
        "The model gives one answer for every example. Try a learning rate three to ten times lower or higher " +
        `(it was ${settings.learningRate}), reparameterization: none, more epochs, or classWeights for rare labels.`,
    };
  }
  const params: Params = await foldParams(
    options.method,
    best?.params ?? (await run.store.params()),
    backbone.engine,
  );
  const {
    epochs,
    batchSize,
    optimizer,
    learningRate,
    headLearningRate,
    schedule: shape,
    warmupSteps,
    weightDecay,
    clipNorm,
    seed,
  } = settings;
  const { hiddenDropout, attentionDropout, selectBy, precision } = settings;
  const adapter = new Adapter({
    task: task.tune?.(best?.evaluation.tuned ?? {}) ?? task,
    method: options.method.deployed,
    params,
    frozen: run.frozen,
    ...(options.method.savedAs === "checkpoint" && { source: options.backbone }),
    backbone: referenceTo(backbone),
    maxLength: settings.maxLength,
    provenance: {
      createdAt: new Date().toISOString(),
      versions: { ptuning: packageVersion(), node: process.versions.node },
      data: {
        fingerprint: options.data.fingerprint,
        train: options.data.train.length,
        dev: options.data.dev.length,
        ...(options.data.table && { table: options.data.table }),
      },
      training: {
        method: options.method.name,
        ...options.method.options,
        ...{
          epochs,
          batchSize,
          optimizer,
          learningRate,
          headLearningRate,
          schedule: shape,
          warmupSteps,
          weightDecay,
          clipNorm,
          seed,
        },
        ...{ hiddenDropout, attentionDropout, precision, selectBy },
        steps: best?.evaluation.step ?? run.step,
      },
      ...(best && { metrics: { dev: best.evaluation.scores } }),
    },
  });
  const exact = reason === "aborted" ? undefined : await evaluateExactly(run, adapter);
  yield { type: "done", reason, step: run.step, adapter, best: best?.evaluation, ...(exact && { exact }) };
}

/** Dev scores of an int8 run's adapter with fp32 weights: what the rounding costs. */
async function evaluateExactly(
  { settings, options, devSet }: Run,
  adapter: Adapter,
): Promise<Scores | undefined> {
  if (settings.precision === "fp32" || devSet.count === 0) return undefined;
  const { backbone } = options;
  const parts = attach(adapter, backbone);
  const session = await backbone.engine.compile(inferenceGraph(parts, adapter.params));
  await session.bind(adapter.params);
  const { scores } = await evaluateSession(session, adapter.task, devSet, backbone);
  await session.release();
  return scores;
}

function diverged(run: Run, loss: number, learningRate: number): PtuningError {
  return new PtuningError(
    "TRAINING_DIVERGED",
    `step ${run.step + 1}: expected a finite loss and finite gradients, got a loss of ${loss} at learning rate ${learningRate}.`,
    { hint: "Try a learning rate three to ten times lower, warmupSteps, or a smaller clipNorm." },
  );
}
