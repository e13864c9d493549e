import { Adapter, attach, referenceTo } from "../adapters/index.ts";
import type { Params } from "../core/index.ts";
import { packageVersion } from "../files/index.ts";
import type { Scores } from "../metrics/index.ts";
import { foldParams, inferenceGraph } from "../model/index.ts";
import { evaluateSession } from "../predict/index.ts";
import type { TrainEvent } from "./events.ts";
import type { Run } from "./set-up.ts";

/** The result of a run. */
export async function* finish(
  run: Run,
  reason: "finished" | "early" | "aborted",
): AsyncGenerator<TrainEvent> {
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
    params: { ...params, ...run.fixed },
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
