import { type Params, parameterCount, Resources, type Tensor, type TensorMap, zeros } from "../core/index.ts";
import type { Engine, Held, Session } from "../engine/index.ts";
import type { Graph } from "../graph/index.ts";
import { gradientOutput } from "../model/index.ts";
import {
  applyUpdates,
  type EngineOptimizer,
  type GradientTransform,
  globalNorm,
  isDecayed,
  type OptimizerEntry,
  type OptimizerOptions,
  type OptimizerState,
  squaredNormGraph,
  sumGraph,
} from "../optim/index.ts";
import { type ReadableTensors, readable } from "./state.ts";

/** Owns the trainable tensors, their gradients and what the optimizer remembers of them. */
export interface ParameterStore extends AsyncDisposable {
  /**
   * Runs one pass of an update and adds its gradients to those of the passes before.
   * @param names the tensors that the session's graph trains, the same in all passes of an update
   * @returns its loss
   */
  pass(session: Session, names: readonly string[], feeds: TensorMap): Promise<number>;
  /** Global norm of the gradients of all passes. */
  gradientNorm(): Promise<number>;
  /**
   * Updates the tensors that have gradients, and forgets these.
   * @param step number of updates before this one
   * @param updates how many of them a tensor took part in
   */
  update(step: number, updates: (name: string) => number): Promise<void>;
  /** Feeds the tensors to later runs of a session. */
  bindTo(session: Session): Promise<void>;
  /** Copies of the tensors as they are now. */
  params(): Promise<Params>;
  /** The tensors, and what the optimizer remembers, to be read before the next update. */
  look(): { readonly params: ReadableTensors; readonly optimizer: ReadableTensors };
}

/** Up to so many numbers loops on the host take less time than a step of any backbone. */
const mostOnHost = 1 << 22;

/** Keeps tensors on the host, or with the engine where they are many. */
export async function createStore(
  engine: Engine,
  params: Params,
  saved: OptimizerState | undefined,
  optimizer: OptimizerEntry,
  options: OptimizerOptions,
): Promise<ParameterStore> {
  if (parameterCount(params) > mostOnHost && optimizer.onEngine) {
    return engineStore(engine, params, saved, optimizer.onEngine(options), options);
  }
  return hostStore(params, saved, optimizer.make(options));
}

function hostStore(
  params: Params,
  saved: OptimizerState | undefined,
  optimizer: GradientTransform,
): ParameterStore {
  const state = structuredClone(saved) ?? optimizer.init(params);
  let grads: Params | undefined;
  return {
    async pass(session, names, feeds) {
      const trained = Object.fromEntries(names.map((name) => [name, params[name]!]));
      const outputs = await session.run({ ...feeds, ...trained });
      const own = Object.fromEntries(names.map((name) => [name, outputs[gradientOutput(name)]!])) as Params;
      if (grads === undefined) grads = own;
      else accumulate(grads, own);
      return Number(outputs.loss!.data[0]);
    },
    gradientNorm: async () => globalNorm(grads!),
    async update(step, updates) {
      optimizer.update(grads!, state, params, step, updates);
      applyUpdates(params, grads!);
      grads = undefined;
    },
    bindTo: (session) => session.bind(params),
    params: async () => structuredClone(params),
    look: () => ({ params: readable(params), optimizer: readable(state) }),
    async [Symbol.asyncDispose]() {},
  };
}

function accumulate(into: Params, from: Params): void {
  for (const [name, { data }] of Object.entries(into)) {
    const more = from[name]!.data;
    for (let i = 0; i < data.length; i++) data[i]! += more[i]!;
  }
}

async function engineStore(
  engine: Engine,
  params: Params,
  saved: OptimizerState | undefined,
  optimizer: EngineOptimizer,
  { decayed = "all", rateFactors = () => 1 }: OptimizerOptions,
): Promise<ParameterStore> {
  await using opened = new Resources();
  const hold = async (tensors: TensorMap): Promise<Held> => opened.use(await engine.hold(tensors));
  const compile = async (graph: Graph): Promise<Session> => opened.use(await engine.compile(graph));
  // Only the shapes stay here: the numbers are as many as those of the backbone.
  const shapes = new Map(Object.entries(params).map(([name, { shape }]) => [name, { shape }]));
  const update = await compile(optimizer.graph);
  const squaredNorm = await compile(squaredNormGraph());
  const sum = await compile(sumGraph());
  const parameters = await hold(params);
  const states = new Map<string, Held>();
  for (const state of optimizer.states) {
    const start = [...shapes].map(([name, { shape }]) => [name, saved?.[`${state}.${name}`] ?? zeros(shape)]);
    states.set(state, await hold(Object.fromEntries(start)));
  }
  const [gradients, more] = [await hold({}), await hold({})];
  const readableOf = (held: Held, prefix = ""): ReadableTensors =>
    Object.fromEntries(
      [...shapes].map(([name, { shape }]) => {
        const read = async (): Promise<Tensor<"float32">> =>
          (await held.read([name]))[name] as Tensor<"float32">;
        return [`${prefix}${name}`, { shape, read }];
      }),
    );
  const bound = new WeakSet<Session>();
  let [passes, norm] = [0, 0];
  /** Those that the update is about. */
  let trained: readonly string[] = [];

  const owned = opened.move();
  return {
    async pass(session, active, feeds) {
      trained = active;
      const outputs = Object.fromEntries(active.map((name) => [gradientOutput(name), name]));
      if (!bound.has(session)) await session.bind(parameters);
      bound.add(session);
      const { loss } = await session.run(feeds, { held: passes === 0 ? gradients : more, names: outputs });
      if (passes > 0) {
        const vectors = { x: gradients, y: more };
        await sum.sweep({ names: trained, vectors, rewrites: { "next x": "x" }, feeds: {} });
      }
      passes++;
      return Number(loss!.data[0]);
    },
    async gradientNorm() {
      const { sum: squares } = await squaredNorm.sweep({
        names: trained,
        vectors: { x: gradients },
        rewrites: {},
        feeds: {},
      });
      norm = Math.sqrt(squares!);
      return norm;
    },
    async update(step, updates) {
      // A sweep has one set of scalars.
      const groups = new Map<string, string[]>();
      const scalarsOf = (name: string): readonly [boolean, number, number] => [
        isDecayed(decayed, shapes.get(name)!),
        rateFactors(name),
        updates(name),
      ];
      for (const name of trained) {
        const key = scalarsOf(name).join(" ");
        groups.set(key, [...(groups.get(key) ?? []), name]);
      }
      for (const group of groups.values()) {
        await update.sweep({
          names: group,
          vectors: { parameter: parameters, gradient: gradients, ...Object.fromEntries(states) },
          rewrites: optimizer.rewrites,
          feeds: optimizer.feeds(step, norm, ...scalarsOf(group[0]!)),
        });
      }
      passes = 0;
    },
    bindTo: (session) => session.bind(parameters),
    params: async () => (await parameters.read()) as Params,
    look: () => ({
      params: readableOf(parameters),
      optimizer: Object.assign({}, ...[...states].map(([state, held]) => readableOf(held, `${state}.`))),
    }),
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}
