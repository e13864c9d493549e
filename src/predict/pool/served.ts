/** Legend: B batch, T parameters, F width of what a head reads, U width of the table's rows, C outputs of a head. */
import { Adapter, attach, backboneDoubts, type SavedAdapter } from "../../adapters/portable.ts";
import { type Backbone, type Precision, withPrecision } from "../../backbones/portable.ts";
import { type Params, PtuningError } from "../../core/index.ts";
import { hashText } from "../../files/portable.ts";
import { headBias, headWeight } from "../../heads/index.ts";
import { precisionFor } from "../../methods/index.ts";
import {
  bareGraph,
  type ModelParts,
  mixedGraph,
  paramShapes,
  prepackFor,
  tableGraph,
  tableRows,
} from "../../model/index.ts";
import { labelsOf, type Task } from "../../tasks/index.ts";
import type { Loaded, NamedTask } from "./catalog.ts";
import type { Block, ParameterTable } from "./parameters.ts";
import type { SharedSession, SharedSessions } from "./sessions.ts";

/** Where a head's linear layer lies in the table. */
export interface PlacedHead {
  /** First row of its matrix. */
  readonly weight: number;
  /** Rows of the table to a row of the matrix, F/U. */
  readonly rowsEach: number;
  /** First row of its bias, and rows. */
  readonly bias: number;
  readonly biasRows: number;
  /** C. */
  readonly outputs: number;
  /** U. */
  readonly rowWidth: number;
}

/** A task that is ready to answer. */
export interface ServedTask extends NamedTask {
  readonly session: SharedSession;
  /** Sequences of equal lanes and equal lengths may share a batch. */
  readonly lane: string;
  /** First rows of parameters: of the method in each example, or of all of them where a batch is of one adapter. */
  readonly starts: readonly number[];
  /** Its head among others; absent where a batch is of one adapter. */
  readonly head?: PlacedHead;
  /** What gives its head the vectors of the untouched backbone, where the head reads these and does not make them itself. */
  readonly bare?: { readonly session: SharedSession; readonly lane: string };
  /** Columns that its prompt adds to each sequence. */
  readonly promptLength: number;
}

/** What adapters are loaded into. */
export interface Place {
  readonly backbone: Backbone;
  readonly precision: Precision;
  readonly table: ParameterTable;
  readonly sessions: SharedSessions;
}

/** Loads adapters into one place. The backbone in other precisions is made once. */
export function adapterLoader({
  backbone,
  precision,
  table,
  sessions,
}: Place): (saved: SavedAdapter, signal?: AbortSignal) => Promise<Loaded<ServedTask>> {
  const converted = new Map<string, Promise<Backbone>>();
  const inPrecision = (name: Precision): Promise<Backbone> => {
    const made = converted.get(name) ?? withPrecision(backbone, name);
    converted.set(name, made);
    made.catch(() => converted.delete(name));
    return made;
  };

  return async (saved: SavedAdapter, signal?: AbortSignal): Promise<Loaded<ServedTask>> => {
    const { method } = saved;
    if (method.savedAs === "checkpoint") {
      throw new PtuningError(
        "ADAPTER_INCOMPATIBLE",
        `expected an adapter beside the weights of ${backbone.id}, got a checkpoint of its own (${method.name}).`,
        { hint: "It shares no weights with others: put it on its backbone alone, by createPredictor." },
      );
    }
    const opened = new Set<{ release(): void }>();
    const release = (): void => {
      for (const one of opened) one.release();
    };
    const blocks: Block[] = [];
    const put = async (params: Params, names: readonly string[]): Promise<Block[]> => {
      const found = await Promise.allSettled(names.map((name) => table.put(params[name]!)));
      for (const one of found) {
        if (one.status === "fulfilled") {
          opened.add(one.value);
          blocks.push(one.value);
        }
      }
      return found.map((one) => {
        if (one.status === "rejected") throw one.reason;
        return one.value;
      });
    };
    const useBare = async (parts: ModelParts, shared: string, prepack: boolean) => {
      const lane = JSON.stringify(["bare", shared, parts.head.bare!.name]);
      const session = await sessions.use(lane, () => bareGraph(parts), prepack);
      opened.add(session);
      return { session, lane };
    };
    const serve = async (adapter: Adapter): Promise<ServedTask> => {
      const { task, params, frozen, maxLength } = adapter;
      const wanted = precisionFor(method, precision, backbone.engine.facts);
      const parts = attach(adapter, await inPrecision(wanted));
      signal?.throwIfAborted();
      const { architecture, config } = parts.backbone;
      const prepack = prepackFor("lean", parts.backbone.precision);
      const own = method.parameters(config, architecture);
      const shared = JSON.stringify([parts.backbone.precision, task.head.rows, hashOf(frozen)]);
      const pooled = { task, labels: labelsOf(task), maxLength };
      const promptLength = Object.values(own).find(({ hasPromptRows }) => hasPromptRows)?.shape[0] ?? 0;
      const isMixed = method.mixed !== undefined && task.head.linear !== undefined;
      if (isMixed) {
        const lane = JSON.stringify(["mixed", shared, method.mixed!.key, task.head.linear!.name]);
        const starts = (await put(params, Object.keys(own))).map(({ start }) => start);
        const [weight, bias] = await put(params, [headWeight, headBias]);
        const [outputs, features] = params[headWeight]!.shape as [number, number];
        const head: PlacedHead = {
          weight: weight!.start,
          rowsEach: features / table.width,
          bias: bias!.start,
          biasRows: tableRows(params[headBias]!, table.width),
          outputs,
          rowWidth: table.width,
        };
        const session = await sessions.use(lane, () => mixedGraph(parts), prepack);
        opened.add(session);
        const bare = task.head.bare && (await useBare(parts, shared, prepack));
        return { pooled, session, lane, starts, head, promptLength, ...(bare && { bare }) };
      }
      const shapes = paramShapes(parts);
      const names = Object.keys(shapes);
      const key = JSON.stringify(["alone", shared, method.name, method.options, headKey(task), shapes]);
      const starts = (await put(params, names)).map(({ start }) => start);
      const session = await sessions.use(key, () => tableGraph(parts, shapes), prepack);
      opened.add(session);
      return { pooled, session, lane: `${key} ${starts}`, starts, promptLength };
    };

    try {
      const heads = headsOf(saved);
      const tasks = new Map<string, ServedTask>();
      for (const [name, adapter] of heads) tasks.set(name, await serve(adapter));
      signal?.throwIfAborted();
      const bytes = [...new Map(blocks.map(({ hash, bytes }) => [hash, bytes])).values()];
      const about = {
        method: method.name,
        warnings: backboneDoubts(heads[0]![1], backbone),
        fingerprint: fingerprintOf(saved, heads, blocks),
      };
      return {
        ...{ tasks, about, bytes: bytes.reduce((sum, each) => sum + each, 0) },
        [Symbol.dispose]: release,
      };
    } catch (error) {
      release();
      throw error;
    }
  };
}

/** Each task of an adapter as an adapter of its own; the name of the only one is empty. */
function headsOf(saved: SavedAdapter): readonly (readonly [name: string, adapter: Adapter])[] {
  if (saved instanceof Adapter) return [["", saved]];
  return Object.keys(saved.heads).map((name) => [name, saved.head(name)]);
}

/** What a graph holds of a head. */
function headKey({ head, type, options }: Task): unknown {
  // Who is no linear layer may hold constants of its task, such as the words of a verbalizer.
  return [head.name, head.options, ...(head.linear ? [] : [type, options])];
}

/** Of weights that graphs hold as constants. */
function hashOf(tensors: Params): string {
  const hashes = Object.entries(tensors).map(([name, { shape, data }]) => [
    ...[name, shape],
    hashText(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ]);
  return hashes.length === 0 ? "" : hashText(JSON.stringify(hashes));
}

/** What an adapter computes, whoever trained it and when. */
function fingerprintOf(
  { method, backbone, maxLength }: SavedAdapter,
  heads: readonly (readonly [name: string, adapter: Adapter])[],
  blocks: readonly Block[],
): string {
  const tasks = heads.map(([name, { task, frozen }]) => [name, task.type, task.options, hashOf(frozen)]);
  const tensors = blocks.map(({ hash }) => hash);
  const all = [method.name, method.options, backbone.fingerprint, maxLength, tasks, tensors];
  return `sha256:${hashText(JSON.stringify(all))}`;
}
