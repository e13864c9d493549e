import { type Params, parameterCount, type TensorMap, zeros } from "../core/index.ts";
import type { Engine, Held, Session } from "../engine/index.ts";
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

/** Owns the trainable tensors, their gradients and what the optimizer remembers of them. */
export interface ParameterStore {
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
  /** The tensors as they are now: copies, except where only `look`ed at. */
  params(look?: "look"): Promise<Params>;
  optimizerState(): Promise<OptimizerState>;
  close(): Promise<void>;
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
    params: async (look) => (look ? params : structuredClone(params)),
    optimizerState: async () => state,
    async close() {},
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
  const names = Object.keys(params);
  const [update, squaredNorm, sum] = await Promise.all(
    [optimizer.graph, squaredNormGraph(), sumGraph()].map((graph) => engine.compile(graph)),
  );
  const parameters = await engine.hold(params);
  const states = new Map<string, Held>();
  for (const state of optimizer.states) {
    const start = names.map((name) => [name, saved?.[`${state}.${name}`] ?? zeros(params[name]!.shape)]);
    states.set(state, await engine.hold(Object.fromEntries(start)));
  }
  const [gradients, more] = [await engine.hold({}), await engine.hold({})];
  const bound = new WeakSet<Session>();
  let [passes, norm] = [0, 0];
  /** Those that the update is about. */
  let trained: readonly string[] = [];

  return {
    async pass(session, active, feeds) {
      trained = active;
      const outputs = Object.fromEntries(active.map((name) => [gradientOutput(name), name]));
      if (!bound.has(session)) await session.bind(parameters);
      bound.add(session);
      const { loss } = await session.run(feeds, { held: passes === 0 ? gradients : more, names: outputs });
      if (passes > 0) {
        const vectors = { x: gradients, y: more };
        await sum!.sweep({ names: trained, vectors, rewrites: { "next x": "x" }, feeds: {} });
      }
      passes++;
      return Number(loss!.data[0]);
    },
    async gradientNorm() {
      const { sum: squares } = await squaredNorm!.sweep({
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
        isDecayed(decayed, params[name]!),
        rateFactors(name),
        updates(name),
      ];
      for (const name of trained) {
        const key = scalarsOf(name).join(" ");
        groups.set(key, [...(groups.get(key) ?? []), name]);
      }
      for (const group of groups.values()) {
        await update!.sweep({
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
    async optimizerState() {
      const state: Record<string, OptimizerState[string]> = {};
      for (const [prefix, held] of states) {
        for (const [name, tensor] of Object.entries((await held.read()) as Params))
          state[`${prefix}.${name}`] = tensor;
      }
      return state;
    },
    async close() {
      for (const held of [parameters, gradients, more, ...states.values()]) await held.release();
      for (const session of [update, squaredNorm, sum]) await session!.release();
    },
  };
}
