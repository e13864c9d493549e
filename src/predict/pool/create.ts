import { abortable, type Backbone } from "../../backbones/portable.ts";
import { PtuningError, Resources } from "../../core/index.ts";
import { tableWidth } from "../../model/index.ts";
import { cutExamples, type Decoder, type Encoded } from "../../tasks/index.ts";
import { paddedLength, tokenCount } from "../../text/portable.ts";
import { taskOutputs, type Wanted } from "./batches.ts";
import { aboutAdapter, Catalog, type Lease } from "./catalog.ts";
import { ParameterTable } from "./parameters.ts";
import type { PredictorPool, PredictorPoolOptions, PreparedItem, StopOptions } from "./pool.ts";
import { adapterLoader, type ServedTask } from "./served.ts";
import { SharedSessions } from "./sessions.ts";

/** Examples of one task, tokenised; the lease keeps its adapter. */
interface Work {
  readonly lease: Lease<ServedTask>;
  readonly encoded: Encoded;
}

/** Bytes of adapters where nobody says how many. */
const defaultMaxBytes = 2 ** 30;

/**
 * Many adapters on one backbone in one process: requests for any of them are answered together, each as the predictor of its
 * adapter alone answers it, to the bit. An adapter takes its own bytes.
 * @throws OPTION_INVALID
 * @example
 * const backbone = await loadBackbone("minilm");
 * const pool = await createPredictorPool(backbone, { maxBytes: 256 * 2 ** 20 });
 * await pool.add("rte", "./adapters/rte");
 * const [answer] = await pool.predict([{ adapter: "rte", example: { text: "It rains.", pair: "It is wet." } }]);
 */
export async function createPredictorPool(
  backbone: Backbone,
  { precision = "auto", maxBytes = defaultMaxBytes, signal }: PredictorPoolOptions = {},
): Promise<PredictorPool> {
  signal?.throwIfAborted();
  if (!(maxBytes >= 0)) {
    throw new PtuningError("OPTION_INVALID", `maxBytes: expected a number of at least 0, got ${maxBytes}.`);
  }
  const { engine, config } = backbone;
  await using opened = new Resources();
  const table = opened.use(await ParameterTable.open(engine, tableWidth(config), maxBytes));
  const sessions = opened.use(new SharedSessions(engine, table));
  signal?.throwIfAborted();
  const load = adapterLoader({ backbone, precision, table, sessions });
  const catalog = new Catalog(load, { maxBytes, bytesHeld: () => table.bytes });
  const works = new WeakMap<PreparedItem, Work>();
  const running = new Set<Promise<unknown>>();
  const owned = opened.move();

  const encode = async (adapter: string, examples: readonly unknown[], stop?: AbortSignal): Promise<Work> => {
    const lease = await catalog.lease(adapter, stop);
    try {
      const { task, maxLength } = lease.task.pooled;
      const encoded = await task.encode(examples, abortable(backbone, stop).tokenizer, maxLength);
      return { lease, encoded };
    } catch (error) {
      lease.release();
      throw aboutAdapter(adapter, error);
    }
  };
  /** Answers all works, and ends their leases whatever comes. */
  const answer = async (given: readonly Work[], stop?: AbortSignal): Promise<unknown[][]> => {
    try {
      const wanted = given.map(({ lease, encoded }): Wanted & { decoder: Decoder } => ({
        ...{ served: lease.task, encoded },
        decoder: lease.task.pooled.task.decoder(encoded),
      }));
      for await (const { of, rows, length, logits } of taskOutputs(wanted, config, stop))
        of.decoder.add({ rows, length, logits });
      return wanted.map(({ decoder }) => decoder.finish());
    } finally {
      for (const { lease } of given) lease.release();
    }
  };
  /** Closing waits for it. */
  const tracked = <R>(work: Promise<R>): Promise<R> => {
    running.add(work);
    const ended = (): void => void running.delete(work);
    work.then(ended, ended);
    return work;
  };
  const take = (item: PreparedItem): Work => {
    const work = works.get(item);
    works.delete(item);
    if (work !== undefined) return work;
    throw new PtuningError("OPTION_INVALID", "items: expected items that this pool prepared, each run once.");
  };
  const run = async (items: readonly PreparedItem[], { signal: stop }: StopOptions): Promise<unknown[]> => {
    const given: Work[] = [];
    try {
      for (const item of items) given.push(take(item));
    } catch (error) {
      for (const { lease } of given) lease.release();
      throw error;
    }
    return (await answer(given, stop)).map(([one]) => one);
  };
  const predict: PredictorPool["predict"] = async (requests, { signal: stop } = {}) => {
    stop?.throwIfAborted();
    const byAdapter = new Map<string, number[]>();
    for (const [i, { adapter }] of requests.entries())
      byAdapter.set(adapter, [...(byAdapter.get(adapter) ?? []), i]);
    const places = [...byAdapter];
    const encoded = await Promise.allSettled(
      places.map(([adapter, own]) =>
        encode(
          adapter,
          own.map((i) => requests[i]!.example),
          stop,
        ),
      ),
    );
    const given = encoded.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const failure = encoded.find((one) => one.status === "rejected");
    if (failure !== undefined) {
      for (const { lease } of given) lease.release();
      throw failure.reason;
    }
    const found = await answer(given, stop);
    const answers = new Array<unknown>(requests.length);
    for (const [k, [, own]] of places.entries())
      for (const [j, i] of own.entries()) answers[i] = found[k]![j];
    return answers;
  };
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      const closed = catalog.close();
      await Promise.allSettled(running);
      await closed;
      await owned[Symbol.asyncDispose]();
    })();
    return closing;
  };
  return {
    add: (name, source, options = {}) => catalog.add(name, source, options),
    remove: (name) => catalog.remove(name),
    get: (name) => catalog.get(name),
    list: () => catalog.list(),
    async prepare(adapter, example, options = {}) {
      const work = await encode(adapter, [example], options.signal);
      const item: PreparedItem = {
        adapter,
        ...costOf(work),
        truncated: cutExamples(work.encoded).some(Boolean),
        [Symbol.dispose]() {
          if (works.delete(item)) work.lease.release();
        },
      };
      works.set(item, work);
      return item;
    },
    run: (items, options = {}) => tracked(run(items, options)),
    predict: (requests, options) => tracked(predict(requests, options)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function costOf({ lease, encoded }: Work): Pick<PreparedItem, "sequences" | "tokens" | "paddedTokens"> {
  const { sequences } = encoded;
  const { pooled, promptLength } = lease.task;
  let [tokens, paddedTokens] = [0, 0];
  for (let row = 0; row < sequences.count; row++) {
    const own = tokenCount(sequences, row);
    tokens += own;
    paddedTokens += promptLength + paddedLength(own, pooled.maxLength);
  }
  return { sequences: sequences.count, tokens, paddedTokens };
}
