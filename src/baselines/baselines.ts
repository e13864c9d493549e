import { setImmediate as turn } from "node:timers/promises";
import { abortable, type Backbone } from "../backbones/index.ts";
import { Rng } from "../core/index.ts";
import type { Dataset } from "../data/index.ts";
import {
  type Features,
  fitInSteps,
  fitProbe,
  fitReadout,
  headFeatures,
  holdsAll,
  type LogisticRegression,
  linearOutputs,
  probeFeatures,
  type SparseRows,
  sparseRows,
} from "../fit/index.ts";
import type { Scores } from "../metrics/index.ts";
import { inferenceGraph } from "../model/index.ts";
import { embedTexts, evaluateSession } from "../predict/index.ts";
import type { Encoded, Evaluation, LinearView, Task } from "../tasks/index.ts";
import type { TextInput } from "../text/index.ts";
import { TfidfVectorizer } from "./tfidf.ts";

/** What one simple way to answer reaches. */
export interface BaselineScore {
  readonly name: string;
  readonly scores: Scores;
}

/** Inverse strengths of regularisation that are tried; dev decides, where there is one. */
const strengths = [1, 10, 100];

/** Test and dev examples, encoded; and, to learn from, the training examples. */
interface Sets {
  readonly train: Encoded;
  readonly dev: Encoded;
  readonly test: Encoded;
}

/**
 * Scores of simple ways to answer on the same test set, to hold a result against; each with options of the task that dev
 * finds for it. The task says which make sense:
 * the best answer that looks at no example; TF-IDF + logistic regression; logistic regression on the frozen
 * backbone's mean-pooled embeddings; and a linear model on those of all its layers side by side.
 * @throws the reason of `signal` once that aborts
 */
export async function baselineScores(
  task: Task,
  data: Dataset<unknown>,
  given: Backbone,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<BaselineScore[]> {
  signal?.throwIfAborted();
  const backbone = abortable(given, signal);
  const longest = backbone.architecture.maxLength(backbone.config, 0);
  const encode = (examples: readonly unknown[]): Promise<Encoded> =>
    task.encode(examples, backbone.tokenizer, longest);
  const sets: Sets = {
    train: await encode(data.train),
    dev: await encode(data.dev),
    test: await encode(data.test),
  };
  const trivial = task.trivial?.(sets.train);
  const results: BaselineScore[] = [];
  if (trivial !== undefined) {
    const settled = task.tune?.({}) ?? task;
    const { scores } = evaluateRows(settled, sets.test, (row) => trivial.logits(sets.test, row));
    results.push({ name: trivial.name, scores });
  }
  const shared = await layerMeans(task, sets, backbone, longest);
  const allLayers = async (): Promise<BaselineScore[]> => {
    if (task.head.readout === undefined) return [];
    const scores = shared
      ? await layersFit(task, sets, backbone, shared)
      : await layersProbe(task, sets, backbone, longest);
    return [{ name: "all layers + linear model", scores }];
  };
  if (task.linear === undefined) return [...results, ...(await allLayers())];
  const view = task.linear;
  const vectorizer = new TfidfVectorizer(view.texts(sets.train).map(joined));
  const words = async (encoded: Encoded): Promise<SparseRows> =>
    vectorizer.transform(view.texts(encoded).map(joined));
  const vectors = async (encoded: Encoded): Promise<SparseRows> =>
    shared ? lastLayer(shared[setName(sets, encoded)], backbone) : embeddings(view.texts(encoded), backbone);
  return [
    ...results,
    { name: "TF-IDF + logistic regression", scores: await regression(task, view, sets, words, signal) },
    {
      name: "frozen embeddings + logistic regression",
      scores: await regression(task, view, sets, vectors, signal),
    },
    ...(await allLayers()),
  ];
}

/** What the untouched backbone makes of all texts behind every layer: one pass for both baselines on it. */
interface LayerMeans extends Readonly<Record<keyof Sets, Features>> {
  readonly outputs: number;
}

/** Undefined where a task's head reads no such thing, or texts are too many to be held. */
async function layerMeans(
  task: Task,
  { train, dev, test }: Sets,
  backbone: Backbone,
  maxLength: number,
): Promise<LayerMeans | undefined> {
  const { numLayers, hiddenSize } = backbone.config;
  const most = Math.max(...[train, dev, test].map(({ sequences }) => sequences.count));
  if (task.head.readout === undefined || !holdsAll(most, (numLayers + 1) * hiddenSize)) return undefined;
  const shared = { backbone, task, pooling: "layers", maxLength, seed: 0 } as const;
  const { parts, features, outputs } = await probeFeatures({ ...shared, encoded: train });
  const of = (encoded: Encoded): Promise<Features> =>
    headFeatures({ parts, params: {}, maxLength, rng: new Rng(0) }, encoded);
  return { train: features, dev: await of(dev), test: await of(test), outputs };
}

const setName = (sets: Sets, encoded: Encoded): keyof Sets =>
  encoded === sets.train ? "train" : encoded === sets.dev ? "dev" : "test";

/** The last of the layers' means, of length 1. */
function lastLayer({ width, rows, data }: Features, { config: { hiddenSize } }: Backbone): SparseRows {
  const vectors = Array.from(rows, (_, row) =>
    data.subarray((row + 1) * width - hiddenSize, (row + 1) * width),
  );
  return rowsOf(vectors, hiddenSize);
}

/** The same as {@link layersProbe} on means that are there. */
async function layersFit(
  task: Task,
  { train, dev, test }: Sets,
  { engine }: Backbone,
  means: LayerMeans,
): Promise<Scores> {
  const { params } = await fitReadout({
    ...{ engine, task, encoded: train, features: means.train },
    ...{ outputs: means.outputs, rng: new Rng(0, "probe") },
  });
  const evaluate = (to: Task, encoded: Encoded, features: Features): Evaluation =>
    evaluateRows(to, encoded, ({ rows: [row] }) => linearOutputs(params, features, row!));
  const { tuned = {} } = evaluate(task, dev, means.dev);
  return evaluate(task.tune?.(tuned) ?? task, test, means.test).scores;
}

/** Test scores of the linear model that cross-validation on the training rows chooses; dev finds options of the task. */
async function layersProbe(
  task: Task,
  { train, dev, test }: Sets,
  backbone: Backbone,
  maxLength: number,
): Promise<Scores> {
  const probe = await fitProbe({ backbone, task, encoded: train, pooling: "layers", maxLength, seed: 0 });
  await using session = await backbone.engine.compile(inferenceGraph(probe.parts, probe.params));
  await session.bind(probe.params);
  const { tuned = {} } = await evaluateSession(session, task, dev, backbone, maxLength);
  const settled = task.tune?.(tuned) ?? task;
  return (await evaluateSession(session, settled, test, backbone, maxLength)).scores;
}

/** Scores logits, one sequence after the other. */
function evaluateRows(
  task: Task,
  encoded: Encoded,
  logits: (pass: { readonly rows: Int32Array; readonly length: number }) => ArrayLike<number>,
): Evaluation {
  const evaluator = task.evaluator(encoded);
  const { starts, count } = encoded.sequences;
  for (let row = 0; row < count; row++) {
    const pass = { rows: Int32Array.of(row), length: starts[row + 1]! - starts[row]! };
    evaluator.add({ ...pass, logits: logits(pass) });
  }
  return evaluator.result();
}

/** Fits with several strengths and scores the one that dev likes best, by the task's own scores. */
async function regression(
  task: Task,
  view: LinearView,
  sets: Sets,
  features: (encoded: Encoded) => Promise<SparseRows>,
  signal: AbortSignal | undefined,
): Promise<Scores> {
  const [train, dev, test] = [
    await features(sets.train),
    await features(sets.dev),
    await features(sets.test),
  ];
  const evaluate = (to: Task, model: LogisticRegression, encoded: Encoded, rows: SparseRows): Evaluation => {
    const outputs = model.decision(rows);
    const { classes } = view;
    return evaluateRows(to, encoded, ({ rows: [row] }) =>
      outputs.subarray(row! * classes, (row! + 1) * classes),
    );
  };
  let start: Float64Array | undefined;
  const fitted: {
    readonly model: LogisticRegression;
    readonly dev: number;
    readonly tuned: NonNullable<Evaluation["tuned"]>;
  }[] = [];
  for (const C of strengths) {
    const model = await inTurns(fitInSteps(train, view.gold(sets.train), view.classes, { C, start }), signal);
    start = model.weights;
    const { scores, tuned = {} } = evaluate(task, model, sets.dev, dev);
    fitted.push({ model, dev: dev.rows === 0 ? 0 : scores[task.selectBy]!, tuned });
  }
  const best = fitted.reduce((a, b) => (b.dev > a.dev ? b : a));
  return evaluate(task.tune?.(best.tuned) ?? task, best.model, sets.test, test).scores;
}

/** Does the steps of some work, and lets the program's other events have their turn between two. */
async function inTurns<T>(steps: Generator<void, T>, signal: AbortSignal | undefined): Promise<T> {
  for (;;) {
    await turn();
    signal?.throwIfAborted();
    const { done, value } = steps.next();
    if (done) return value;
  }
}

function joined(text: TextInput): string {
  return typeof text === "string" ? text : text.join(" ");
}

async function embeddings(texts: readonly TextInput[], backbone: Backbone): Promise<SparseRows> {
  return rowsOf(await embedTexts(texts, backbone), backbone.config.hiddenSize);
}

const rowsOf = (vectors: readonly Float32Array[], width: number): SparseRows =>
  sparseRows(
    vectors.map((vector) => new Map(vector.entries())),
    width,
  );
