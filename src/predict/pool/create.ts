import { Adapter, attach, backboneDoubts, type SavedAdapter } from "../../adapters/portable.ts";
import { abortable, type Backbone, withPrecision } from "../../backbones/portable.ts";
import { PtuningError, Resources } from "../../core/index.ts";
import { abortableSession, type Session } from "../../engine/portable.ts";
import { precisionFor } from "../../methods/index.ts";
import { inferenceGraph, prepackFor } from "../../model/index.ts";
import { cutExamples, type Encoded, labelsOf, type Task } from "../../tasks/index.ts";
import { paddedLength, tokenCount } from "../../text/portable.ts";
import { forward } from "../forward.ts";
import { Catalog, type Lease, type Loaded, type NamedTask } from "./catalog.ts";
import type { PredictorPool, PredictorPoolOptions, PreparedItem, StopOptions } from "./pool.ts";

/** A task that answers. */
interface ServedTask extends NamedTask {
  readonly session: Session;
}

/** What the pool knows of its items. */
interface Work {
  readonly lease: Lease<ServedTask>;
  readonly encoded: Encoded;
}

/**
 * Many adapters on one backbone in one process: requests for any of them are answered together. An adapter takes its own bytes.
 * @throws OPTION_INVALID
 * @example
 * const pool = await createPredictorPool(backbone, { maxBytes: 256 * 2 ** 20 });
 * await pool.add("rte", "./adapters/rte");
 * const [answer] = await pool.predict([{ adapter: "rte", example: { text: "It rains.", pair: "It is wet." } }]);
 */
export async function createPredictorPool(
  backbone: Backbone,
  { precision = "auto", maxBytes, signal }: PredictorPoolOptions = {},
): Promise<PredictorPool> {
  signal?.throwIfAborted();
  if (maxBytes !== undefined && !(maxBytes >= 0)) {
    throw new PtuningError("OPTION_INVALID", `maxBytes: expected a number of at least 0, got ${maxBytes}.`);
  }
  let held = 0;
  const load = async (saved: SavedAdapter, stop?: AbortSignal): Promise<Loaded<ServedTask>> => {
    await using opened = new Resources();
    const tasks = new Map<string, ServedTask>();
    const heads: [string, Adapter][] =
      saved instanceof Adapter
        ? [["", saved]]
        : Object.keys(saved.heads).map((name) => [name, saved.head(name)]);
    for (const [name, adapter] of heads) {
      const { task, params, maxLength } = adapter;
      const wanted = precisionFor(adapter.method, precision, backbone.engine.facts);
      const parts = attach(adapter, await withPrecision(backbone, wanted, stop));
      const prepack = prepackFor("lean", parts.backbone.precision);
      const engine = abortable(backbone, stop).engine;
      const session = opened.use(await engine.compile(inferenceGraph(parts, params), { prepack }));
      await session.bind(params);
      tasks.set(name, { session, pooled: { task, labels: labelsOf(task), maxLength } });
    }
    const bytes = heads.reduce(
      (sum, [, { params }]) =>
        sum + Object.values(params).reduce((own, { data }) => own + data.byteLength, 0),
      0,
    );
    held += bytes;
    opened.defer(() => {
      held -= bytes;
    });
    const about = { method: saved.method.name, warnings: backboneDoubts(heads[0]![1], backbone) };
    const owned = opened.move();
    return { tasks, about, bytes, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
  };
  const catalog = new Catalog(load, { ...(maxBytes !== undefined && { maxBytes }), bytesHeld: () => held });
  const works = new WeakMap<PreparedItem, Work>();
  const encode = (task: Task, maxLength: number, examples: readonly unknown[], stop?: AbortSignal) =>
    task.encode(examples, abortable(backbone, stop).tokenizer, maxLength);

  const prepare = async (
    adapter: string,
    examples: readonly unknown[],
    { signal: stop }: StopOptions,
  ): Promise<PreparedItem> => {
    const lease = await catalog.lease(adapter, stop);
    try {
      const { task, maxLength } = lease.task.pooled;
      const encoded = await encode(task, maxLength, examples, stop);
      const { sequences } = encoded;
      let [tokens, paddedTokens] = [0, 0];
      for (let row = 0; row < sequences.count; row++) {
        tokens += tokenCount(sequences, row);
        paddedTokens += paddedLength(tokenCount(sequences, row), maxLength);
      }
      const truncated = cutExamples(encoded).some(Boolean);
      const item: PreparedItem = {
        ...{ adapter, sequences: sequences.count, tokens, paddedTokens, truncated },
        [Symbol.dispose]: () => lease.release(),
      };
      works.set(item, { lease, encoded });
      return item;
    } catch (error) {
      lease.release();
      throw error;
    }
  };
  const answers = async (items: readonly PreparedItem[], { signal: stop }: StopOptions) => {
    try {
      const found: unknown[][] = [];
      for (const item of items) {
        stop?.throwIfAborted();
        const work = works.get(item);
        if (work === undefined) {
          throw new PtuningError(
            "OPTION_INVALID",
            "items: expected items that this pool prepared, each run once.",
          );
        }
        const { session, pooled } = work.lease.task;
        const decoder = pooled.task.decoder(work.encoded);
        const passes = forward(abortableSession(session, stop), work.encoded, backbone, pooled.maxLength);
        for await (const pass of passes) decoder.add(pass);
        found.push(decoder.finish());
      }
      return found;
    } finally {
      for (const item of items) {
        works.delete(item);
        item[Symbol.dispose]();
      }
    }
  };
  const close = (): Promise<void> => catalog.close();
  return {
    add: (name, source, options = {}) => catalog.add(name, source, options),
    remove: (name) => catalog.remove(name),
    get: (name) => catalog.get(name),
    list: () => catalog.list(),
    prepare: (name, example, options = {}) => prepare(name, [example], options),
    run: async (items, options = {}) => (await answers(items, options)).map(([answer]) => answer),
    async predict(requests, options = {}) {
      const items: PreparedItem[] = [];
      try {
        for (const { adapter, example } of requests) items.push(await prepare(adapter, [example], options));
      } catch (error) {
        for (const item of items) item[Symbol.dispose]();
        throw error;
      }
      return (await answers(items, options)).map(([answer]) => answer);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
