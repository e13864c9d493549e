import {
  Adapter,
  attach,
  MultiTaskAdapter,
  type Provenance,
  referenceTo,
  type SavedAdapter,
} from "../adapters/portable.ts";
import { abortable } from "../backbones/portable.ts";
import { byteSize, elementCount, type Params, Rng } from "../core/index.ts";
import { versions } from "../files/portable.ts";
import type { Scores } from "../metrics/index.ts";
import { foldParams, headParameter, headShapes, inferenceGraph, missingWeights } from "../model/index.ts";
import { weightForms } from "../nn/index.ts";
import { evaluateSession } from "../predict/index.ts";
import { evaluationOf, joinEvaluations, type TaskEvaluation } from "./evaluations.ts";
import type { DoneEvent, TrainEvent } from "./events.ts";
import { freeBytes } from "./memory.ts";
import type { ResolvedSettings } from "./options.ts";
import { type KeptProbe, type KeptState, refitHeads } from "./refit.ts";
import type { Run, RunTask } from "./set-up.ts";

/** The result of a run. */
export async function* finish(
  run: Run,
  loopEnded: "finished" | "early" | "aborted",
): AsyncGenerator<TrainEvent<SavedAdapter>> {
  const { settings } = run;
  const { signal } = run.options;
  let reason = loopEnded;
  /** The state of the last update is saved: resuming the run makes what is left. @throws what was not the signal */
  const endedBySignal = (error: unknown): void => {
    if (!(signal?.aborted && error === signal.reason)) throw error;
    reason = "aborted";
  };
  let kept: KeptState = {
    params: run.progress.best?.params ?? (await run.store.params()),
    evaluation: run.progress.best?.evaluation,
    fits: {},
  };
  if (reason !== "aborted") {
    try {
      kept = yield* refitHeads(run, kept);
    } catch (error) {
      endedBySignal(error);
    }
  }
  const best = kept.evaluation;
  if (reason !== "aborted" && best?.collapsed) {
    yield {
      type: "warning",
      code: "collapsed",
      message:
        "The model gives one answer for every example. Try a learning rate three to ten times lower or higher " +
        `(it was ${settings.learningRate}), reparameterization: none, more epochs, or classWeights for rare labels.`,
    };
  }
  if (reason !== "aborted") {
    for (const message of remarksOf(run, kept)) yield { type: "warning", code: "tuned", message };
  }
  const adapter = await adapterOf(run, kept);
  let exact: Scores | undefined;
  const isRounded =
    weightForms[settings.precision].stored !== undefined && run.tasks.some(({ devSet }) => devSet.count > 0);
  const [needed, free] = [exactBytes(run), freeBytes()];
  if (reason !== "aborted" && isRounded && needed > free) {
    const inGB = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
    yield {
      type: "warning",
      code: "unverified",
      message:
        `What rounding to ${settings.precision} costs was not measured: the frozen weights take ${inGB(needed)} in fp32, ` +
        `${inGB(free)} of memory are free.`,
    };
  } else if (reason !== "aborted" && isRounded) {
    try {
      exact = await evaluateExactly(run, adapter);
    } catch (error) {
      endedBySignal(error);
    }
  }
  const alternative = kept.probe && alternativeOf(run, kept.probe, heldOutOf(best));
  const { step } = run.progress;
  const more = { ...(alternative && { alternative }), ...(exact && { exact }) };
  yield { type: "done", reason, step, adapter, best, ...more };
}

/** A probe as it is saved. */
function alternativeOf(
  run: Run,
  { task, parts, params, evaluation }: KeptProbe,
  rows: string,
): DoneEvent["alternative"] {
  const { settings } = run;
  const { name: method, options } = parts.method;
  const adapter = new Adapter({
    task: task.tune?.(evaluation.tuned ?? {}) ?? task,
    method: parts.method,
    params,
    backbone: referenceTo(run.backbone),
    maxLength: run.settings.maxLength,
    provenance: {
      ...origin(run.tasks[0]!),
      training: {
        method,
        ...options,
        precision: settings.precision,
        seed: settings.seed,
        selectBy: settings.selectBy,
      },
      metrics: { [rows]: evaluation.scores },
    },
  });
  return { adapter, evaluation };
}

/** What is to be known of how the tasks' open options were found: on dev, or on nothing where there is none. */
function remarksOf({ tasks }: Run, { evaluation }: KeptState): readonly string[] {
  const without = tasks.flatMap(({ name, task, devSet, selectBy = task.selectBy }) =>
    devSet.count > 0 || evaluation?.leftOut
      ? []
      : [{ name, selectBy, evaluation: task.evaluator(devSet).result() }],
  );
  const unfound = without.length > 0 ? joinEvaluations(without).remarks : [];
  return [...(evaluation?.remarks ?? []), ...(unfound ?? [])];
}

/** The state that is kept, as it is saved. */
async function adapterOf(run: Run, kept: KeptState): Promise<SavedAdapter> {
  const { options, backbone, settings, tasks } = run;
  const { method } = options;
  const trained = kept.params;
  const params: Params = {
    ...(await foldParams(method, trained, backbone.engine)),
    ...tasks[0]!.parts.fixed,
  };
  const shared = {
    method: method.deployed,
    backbone: referenceTo(backbone),
    maxLength: settings.maxLength,
  };
  const heads = tasks.map((one) => {
    const missing = missingWeights(one.parts, new Rng(0));
    const tuned = evaluationOf(one.name, kept.evaluation ?? { scores: {} });
    const task = kept.blended ?? one.task;
    return {
      task: task.tune?.(tuned.tuned) ?? task,
      frozen: Object.fromEntries(Object.entries(run.frozen).filter(([name]) => name in missing)),
      provenance: provenanceOf(run, one, kept),
    };
  });
  if (!("tasks" in options)) {
    const source = method.savedAs === "checkpoint" && { source: options.backbone };
    return new Adapter({ ...shared, ...heads[0]!, params, ...source });
  }
  // Folding replaces tensors that all tasks share.
  const isShared = (name: string): boolean =>
    !(name in trained) || tasks.every((one) => one.trained.has(name));
  const headNames = tasks.map(({ parts }) => Object.keys(headShapes(parts)));
  const own = tasks.map(({ name, trained: names }, i) => {
    const head = headNames[i]!;
    const others = Object.keys(params).filter(
      (key) => names.has(key) && !isShared(key) && !head.includes(key),
    );
    return Object.fromEntries([
      ...head.map((key) => [key.slice(headParameter(name, "").length), params[key]!]),
      ...others.map((key) => [key, params[key]!]),
    ]);
  });
  const isOfHead = new Set(headNames.flat());
  const common = Object.entries(params).filter(([name]) => !isOfHead.has(name) && isShared(name));
  return new MultiTaskAdapter({
    ...shared,
    shared: Object.fromEntries(common),
    heads: Object.fromEntries(tasks.map(({ name }, i) => [name, { ...heads[i]!, params: own[i]! }])),
  });
}

/** Settings that an adapter names. */
const recorded = [
  ...(["epochs", "batchSize", "optimizer", "learningRate", "headLearningRate", "schedule"] as const),
  ...(["warmupSteps", "weightDecay", "clipNorm", "seed"] as const),
  ...(["hiddenDropout", "attentionDropout", "precision", "selectBy"] as const),
] satisfies readonly (keyof ResolvedSettings)[];

function provenanceOf(
  { options, settings, progress: { step } }: Run,
  task: RunTask,
  { evaluation, fits }: KeptState,
): Provenance {
  const { name } = task;
  return {
    ...origin(task),
    training: {
      method: options.method.name,
      ...options.method.options,
      ...Object.fromEntries(recorded.map((key) => [key, settings[key]])),
      ...("tasks" in options && { tasks: Object.keys(options.tasks), sampling: settings.sampling }),
      steps: evaluation?.step ?? step,
      ...(fits[name] && { refit: fits[name] }),
    },
    ...(evaluation && {
      metrics: { [heldOutOf(evaluation)]: evaluationOf(name, evaluation).scores },
    }),
  };
}

/** What adapters call the rows that a state is scored on: dev, or those of train that short runs left out. */
const heldOutOf = (evaluation: { readonly leftOut?: boolean } | undefined): string =>
  evaluation?.leftOut ? "left out" : "dev";

/** When, with what and from which data. */
function origin({ data }: RunTask): Pick<Provenance, "createdAt" | "versions" | "data"> {
  return {
    createdAt: new Date().toISOString(),
    versions: versions(),
    data: {
      fingerprint: data.fingerprint,
      train: data.train.length,
      dev: data.dev.length,
      ...(data.table && { table: data.table }),
    },
  };
}

/** What the weights take in fp32: a session holds those of 16 bits so. */
function exactBytes({ options: { backbone } }: Run): number {
  let elements = 0;
  for (const { shape } of backbone.weights.values()) elements += elementCount(shape);
  return elements * byteSize("float32");
}

/** Dev scores, with fp32 weights, of the adapter of a run that rounded them: what the rounding costs. */
async function evaluateExactly({ options, tasks }: Run, saved: SavedAdapter): Promise<Scores | undefined> {
  const backbone = abortable(options.backbone, options.signal);
  const results: TaskEvaluation[] = [];
  for (const { name, devSet, task, selectBy = task.selectBy } of tasks) {
    if (devSet.count === 0) continue;
    const adapter = saved instanceof MultiTaskAdapter ? saved.head(name) : saved;
    await using session = await backbone.engine.compile(
      inferenceGraph(attach(adapter, backbone), adapter.params),
    );
    await session.bind(adapter.params);
    const evaluation = await evaluateSession(session, adapter.task, devSet, backbone, adapter.maxLength);
    results.push({ name, selectBy, evaluation });
  }
  return results.length > 0 ? joinEvaluations(results).scores : undefined;
}
