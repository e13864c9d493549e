import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { isExternal, PtuningError, type TensorMap } from "../core/index.ts";
import { type Graph, simplify } from "../graph/index.ts";
import { encodeModel } from "../onnx/index.ts";
import type { CompileOptions, Engine, Held, Session } from "./engine.ts";
import type { EngineReply, EngineRequest } from "./protocol.ts";
import { defaultThreads } from "./threads.ts";

/** How ONNX Runtime uses the machine. */
export interface NodeEngineOptions {
  /** Threads for each op; default: {@link defaultThreads}. */
  readonly threads?: number;
  /**
   * Lets idle threads spin, which is a little faster where the process has the machine to itself and burns
   * CPU time where it has not. Default false.
   */
  readonly spin?: boolean;
}

interface Pending {
  resolve(outputs: TensorMap | undefined): void;
  reject(error: Error): void;
}

/**
 * ONNX Runtime on the CPU, in a worker thread of its own.
 * @throws ENGINE_UNAVAILABLE from `compile` if the native library does not load
 */
export function nodeEngine(options: NodeEngineOptions = {}): Engine {
  const threads = options.threads ?? defaultThreads();
  const spin = options.spin ?? false;
  const pending = new Map<number, Pending>();
  const heldIds = new WeakMap<Held, number>();
  const idOf = (held: Held): number => {
    const id = heldIds.get(held);
    if (id === undefined) throw failed("the tensors are held by another engine.");
    return id;
  };
  let worker: Worker | undefined;
  let nextId = 0;

  const failAll = (from: Worker, message: string): void => {
    if (worker !== from) return;
    worker = undefined;
    const error = new PtuningError("ENGINE_FAILED", `ONNX Runtime: ${message}`);
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  };
  const start = (): Worker => {
    // "#ort-worker" is an entry of package.json: the thread runs built code also when a test runs sources.
    const path = createRequire(import.meta.url).resolve("#ort-worker");
    // The runtime reads it as it loads, from the process and not from the thread: without, it makes a device id and sends
    // usage to its makers.
    process.env.ORT_DISABLE_TELEMETRY ??= "1";
    const started = new Worker(pathToFileURL(path));
    started.on("message", (reply: EngineReply) => {
      const waiting = pending.get(reply.id);
      pending.delete(reply.id);
      if (pending.size === 0) started.unref();
      if (reply.ok) waiting?.resolve(reply.outputs);
      else waiting?.reject(reply.loadFailed ? unavailable(reply.message) : failed(reply.message));
    });
    started.on("error", (error) => failAll(started, error.message));
    started.on("exit", (code) => failAll(started, `the engine's thread ended with code ${code}.`));
    return started;
  };
  const ask = (request: EngineRequest): Promise<TensorMap | undefined> =>
    new Promise((resolve, reject) => {
      worker ??= start();
      const id = nextId++;
      pending.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, request });
    });

  return {
    name: `onnxruntime-node (CPU, ${threads} ${threads === 1 ? "thread" : "threads"})`,
    async compile(graph: Graph, { prepack = false }: CompileOptions = {}): Promise<Session> {
      const session = nextId++;
      const simplified = simplify(graph);
      const model = encodeModel(simplified);
      const folder = externalFolder(simplified);
      await ask({
        kind: "compile",
        session,
        model,
        folder,
        prepack,
        threads,
        spin,
      });
      const fetches = Object.fromEntries([...simplified.outputs].map(([name, value]) => [name, value.name]));
      return {
        bind: async (feeds) => {
          const source = heldIds.get(feeds as Held) ?? (feeds as TensorMap);
          await ask({ kind: "bind", session, feeds: source });
        },
        run: async (feeds, keep) => {
          const kept = keep && { keep: { held: idOf(keep.held), names: keep.names } };
          return (await ask({ kind: "run", session, feeds, fetches, ...kept })) ?? {};
        },
        async sweep({ names, vectors, rewrites, feeds }) {
          const ids = Object.entries(vectors).map(([input, held]) => [input, idOf(held)] as const);
          const sums = await ask({
            kind: "sweep",
            session,
            names,
            vectors: Object.fromEntries(ids),
            rewrites: Object.fromEntries(
              Object.entries(rewrites).map(([output, input]) => [fetches[output]!, input]),
            ),
            feeds,
            fetches,
          });
          return Object.fromEntries(
            Object.entries(sums ?? {}).map(([name, { data }]) => [name, Number(data[0])]),
          );
        },
        release: async () => {
          if (worker) await ask({ kind: "release", session });
        },
      };
    },
    async hold(tensors): Promise<Held> {
      const id = nextId++;
      await ask({ kind: "hold", held: id, tensors });
      const held: Held = {
        read: async () => (await ask({ kind: "read", held: id })) ?? {},
        release: async () => {
          if (worker) await ask({ kind: "drop", held: id });
        },
      };
      heldIds.set(held, id);
      return held;
    },
    async close() {
      const closing = worker && ask({ kind: "close" });
      worker = undefined;
      await closing;
    },
  };
}

/** The one folder that holds all external data of a graph. */
function externalFolder(graph: Graph): string | undefined {
  const folders = new Set<string>();
  for (const source of graph.initializers.values()) if (isExternal(source)) folders.add(source.folder);
  if (folders.size > 1) {
    throw new PtuningError("ENGINE_FAILED", `weights: expected one folder, got ${[...folders].join(", ")}.`);
  }
  return [...folders][0];
}

function failed(message: string): PtuningError {
  return new PtuningError("ENGINE_FAILED", `ONNX Runtime: ${message}`);
}

function unavailable(message: string): PtuningError {
  return new PtuningError(
    "ENGINE_UNAVAILABLE",
    `onnxruntime-node did not load on ${process.platform} ${process.arch}: ${message}`,
    {
      hint:
        "Its binaries exist for Linux (x64, arm64; glibc), Windows (x64, arm64) and macOS (arm64). Where its " +
        "install script fails, install with ONNXRUNTIME_NODE_INSTALL=skip: the CPU library is in the package.",
    },
  );
}
