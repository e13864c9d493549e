import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { messageOf, PtuningError, shown, type TensorMap } from "../core/index.ts";
import { everyOp, type Graph, type OpSupport, simplify } from "../graph/index.ts";
import { encodeModel } from "../onnx/index.ts";
import { int8Facts } from "./cpu.ts";
import {
  type CompileOptions,
  type Device,
  type Engine,
  type EngineFacts,
  type Held,
  isHeld,
  type Session,
} from "./engine.ts";
import { externalPlaces } from "./external.ts";
import type { EngineReply, EngineRequest } from "./protocol.ts";
import { defaultThreads, threadLimit } from "./threads.ts";
import { webgpuOps } from "./webgpu.ts";

/** How ONNX Runtime uses the machine. */
export interface NodeEngineOptions {
  /**
   * What computes. Default `"cpu"`. `"webgpu"` is for floats: integers go back and forth between GPU and CPU. It needs a
   * driver that the system finds (Vulkan, on Linux with `libvulkan.so.1`; Metal; Direct3D 12).
   */
  readonly device?: Device;
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

/** A worker thread from its start to its end; sessions and held tensors live and die with it. */
class EngineThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  /** Why it answers no more. */
  #ended: string | undefined;

  constructor() {
    // "#ort-worker" is an entry of package.json: the thread runs built code also when a test runs sources.
    const path = createRequire(import.meta.url).resolve("#ort-worker");
    // The runtime reads it as it loads, from the process and not from the thread: without, it makes a device id and sends
    // usage to its makers.
    process.env.ORT_DISABLE_TELEMETRY ??= "1";
    // Flags of the process may be meant for its main script alone, such as the type of a program given with -e.
    this.#worker = new Worker(pathToFileURL(path), { execArgv: [] });
    // Only what waits for an answer keeps the process alive.
    this.#worker.unref();
    this.#worker.on("message", (reply: EngineReply) => {
      const waiting = this.#take(reply.id);
      if (reply.ok) waiting?.resolve(reply.outputs);
      else waiting?.reject(reply.lacking ? unavailable(reply.lacking, reply.message) : failed(reply.message));
    });
    this.#worker.on("messageerror", (error) => this.#end(`an answer could not be read: ${messageOf(error)}`));
    this.#worker.on("error", (error) => this.#end(`the engine's thread died: ${messageOf(error)}`));
    this.#worker.on("exit", (code) => this.#end(`the engine's thread ended with code ${code}.`));
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /**
   * @param transferred memory that goes over to the thread
   * @throws ENGINE_FAILED if the runtime refuses, or the thread has ended or ends
   */
  ask(request: EngineRequest, transferred: readonly ArrayBuffer[] = []): Promise<TensorMap | undefined> {
    if (this.#ended !== undefined) return Promise.reject(failed(this.#ended));
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#worker.ref();
      try {
        this.#worker.postMessage({ id, request }, transferred);
      } catch (error) {
        // What cannot be copied to the thread never gets there: nobody would answer.
        this.#take(id);
        reject(failed(`${request.kind}: ${messageOf(error)}`));
      }
    });
  }

  /** Gives something back; nothing is left to give back where the thread has ended. */
  async giveBack(request: EngineRequest): Promise<void> {
    if (this.#ended !== undefined) return;
    try {
      await this.ask(request);
    } catch (error) {
      if (!this.ended) throw error;
    }
  }

  /** Waits for what is running and ends the thread; the answers of what comes later say `reason`. */
  async close(reason: string): Promise<void> {
    const closing = this.giveBack({ kind: "close" });
    this.#ended ??= reason;
    await closing;
  }

  #take(id: number): Pending | undefined {
    const waiting = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#worker.unref();
    return waiting;
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    for (const { reject } of this.#pending.values()) reject(failed(this.#ended));
    this.#pending.clear();
    this.#worker.unref();
    void this.#worker.terminate();
  }
}

/** Where held tensors are. */
interface HeldPlace {
  readonly thread: EngineThread;
  readonly id: number;
}

const closedReason = "the engine was closed.";

/** What the engine's name says of its device. */
const deviceNames: { readonly [D in Device]: (threads: number) => string } = {
  cpu: (threads) => `CPU, ${threads} ${threads === 1 ? "thread" : "threads"}`,
  webgpu: () => "WebGPU",
};
const opsOf: { readonly [D in Device]: OpSupport } = { cpu: everyOp, webgpu: webgpuOps };

function factsOf(device: Device): EngineFacts {
  const int8 = int8Facts();
  // Products of integers are the CPU's with each device, but copies to and fro make them slow.
  return { device, ops: opsOf[device], int8: { ...int8, isFast: int8.isFast && device === "cpu" } };
}

/**
 * ONNX Runtime on the CPU, or on a GPU by WebGPU, in a worker thread of its own.
 * @throws ENGINE_UNAVAILABLE from `compile` if the native library does not load, or there is no such device
 */
export function nodeEngine(options: NodeEngineOptions = {}): Engine {
  const threads = options.threads ?? defaultThreads();
  if (!Number.isInteger(threads) || threads < 1 || threads > threadLimit) {
    throw new PtuningError(
      "OPTION_INVALID",
      `threads: expected a whole number from 1 to ${threadLimit}, got ${threads}.`,
    );
  }
  const spin = options.spin ?? false;
  const device = options.device ?? "cpu";
  if (!Object.hasOwn(opsOf, device)) {
    throw new PtuningError(
      "OPTION_INVALID",
      `device: expected one of ${Object.keys(opsOf).join(", ")}, got ${shown(device)}.`,
    );
  }
  const facts = factsOf(device);
  const places = new WeakMap<Held, HeldPlace>();
  let current: EngineThread | undefined;
  let closing: Promise<void> | undefined;
  let nextId = 0;

  /** The thread that new sessions and held tensors go to; one that died is replaced. */
  const openThread = (): EngineThread => {
    if (closing !== undefined) throw failed(closedReason);
    if (current === undefined || current.ended) current = new EngineThread();
    return current;
  };
  /** @throws ENGINE_FAILED if the tensors are with another thread than the session that wants them */
  const idIn = (thread: EngineThread, held: Held): number => {
    const place = places.get(held);
    if (place === undefined) throw failed("the tensors are held by another engine.");
    if (place.thread !== thread)
      throw failed("the tensors were held by a thread of the engine that has ended.");
    return place.id;
  };
  const close = (): Promise<void> => {
    closing ??= current?.close(closedReason) ?? Promise.resolve();
    return closing;
  };

  return {
    name: `onnxruntime-node (${deviceNames[device](threads)})`,
    facts,
    async compile(graph: Graph, { prepack = false }: CompileOptions = {}): Promise<Session> {
      const thread = openThread();
      const session = nextId++;
      const simplified = simplify(graph, facts.ops);
      const { folder, read, placeOf } = await externalPlaces(simplified);
      const request = {
        session,
        model: encodeModel(simplified, placeOf),
        folder,
        read,
        device,
        prepack,
        threads,
        spin,
      };
      await thread.ask({ kind: "compile", ...request }, read && [read.data.buffer as ArrayBuffer]);
      const fetches = Object.fromEntries([...simplified.outputs].map(([name, value]) => [name, value.name]));
      const release = (): Promise<void> => thread.giveBack({ kind: "release", session });
      return {
        bind: async (feeds) => {
          const source = isHeld(feeds) ? idIn(thread, feeds) : feeds;
          await thread.ask({ kind: "bind", session, feeds: source });
        },
        run: async (feeds, keep) => {
          const kept = keep && { keep: { held: idIn(thread, keep.held), names: keep.names } };
          return (await thread.ask({ kind: "run", session, feeds, fetches, ...kept })) ?? {};
        },
        async sweep({ names, vectors, rewrites, feeds }) {
          const ids = Object.entries(vectors).map(([input, held]) => [input, idIn(thread, held)] as const);
          const sums = await thread.ask({
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
        release,
        [Symbol.asyncDispose]: release,
      };
    },
    async hold(tensors): Promise<Held> {
      const thread = openThread();
      const id = nextId++;
      await thread.ask({ kind: "hold", held: id, tensors });
      const release = (): Promise<void> => thread.giveBack({ kind: "drop", held: id });
      const held: Held = {
        read: async (names) => (await thread.ask({ kind: "read", held: id, names })) ?? {},
        async write(name, offset, data) {
          await thread.ask({ kind: "write", held: id, name, offset, data }, [data.buffer as ArrayBuffer]);
        },
        async grow(name, length) {
          await thread.ask({ kind: "grow", held: id, name, length });
        },
        release,
        [Symbol.asyncDispose]: release,
      };
      places.set(held, { thread, id });
      return held;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function failed(message: string): PtuningError {
  return new PtuningError("ENGINE_FAILED", `ONNX Runtime: ${message}`);
}

function unavailable(lacking: "library" | "device", message: string): PtuningError {
  if (lacking === "device") {
    return new PtuningError("ENGINE_UNAVAILABLE", `device: expected one that opens, got ${message}`, {
      hint: "WebGPU needs a GPU and its driver: on Linux the package libvulkan1 and the maker's. Use the CPU elsewhere.",
    });
  }
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
