/**
 * The thread that owns ONNX Runtime. `session.run` blocks the thread that calls it, so it is never the
 * program's own: progress, timers and Ctrl-C stay live there.
 */
import { parentPort } from "node:worker_threads";
import type { InferenceSession, Tensor as OrtTensor, TypedTensor } from "onnxruntime-node";
import { allocate, messageOf, type Tensor, type TensorMap } from "../core/index.ts";
import type { EngineReply, EngineRequest } from "./protocol.ts";

type Ort = typeof import("onnxruntime-node");

interface OpenSession {
  readonly runtime: InferenceSession;
  /** Feeds that stay until they are bound again. */
  readonly bound: Map<string, OrtTensor>;
}

const port = parentPort!;
const sessions = new Map<number, OpenSession>();
/** Sets of tensors that stay here. */
const heldSets = new Map<number, Map<string, OrtTensor>>();
let library: Ort | undefined;

/** Something that there is not: the native library, or a device to compute on. */
class LackError extends Error {
  readonly lacking: "library" | "device";

  constructor(lacking: "library" | "device", cause: unknown) {
    super(messageOf(cause));
    this.lacking = lacking;
  }
}

async function loadRuntime(): Promise<Ort> {
  try {
    library ??= await import("onnxruntime-node");
    return library;
  } catch (error) {
    throw new LackError("library", error);
  }
}

/** How the runtime says so. */
const noDevice = /Failed to get a WebGPU|(unknown|unsupported).*provider|backend not found/i;

async function compile(request: EngineRequest & { kind: "compile" }): Promise<void> {
  const { InferenceSession } = await loadRuntime();
  const options: InferenceSession.SessionOptions = {
    executionProviders: [request.device],
    graphOptimizationLevel: "all",
    // The pattern's block is allocated beside the arena and doubles the peak from the second run on.
    enableMemPattern: false,
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    ...(request.read && { externalData: [request.read] }),
    extra: {
      session: {
        // Denormals make products over a hundred times slower; see the engine's notes on thread order.
        set_denormal_as_zero: "1",
        // Else every reader of a dropout mask gets a dequantised copy of its own.
        disable_quant_qdq: "1",
        ...(!request.prepack && { disable_prepacking: "1" }),
        ...(request.folder && { model_external_initializers_file_folder_path: request.folder }),
        intra_op: { allow_spinning: request.spin ? "1" : "0" },
      },
      // The fused layer norm is several times slower on CPUs than the two ops that it replaces; the fusion of
      // reshapes swallows control edges (`GraphBuilder.after`).
      optimization: { disable_specified_optimizers: "SkipLayerNormFusion;ReshapeFusion" },
    },
  };
  const runtime = await InferenceSession.create(request.model, options).catch((error: unknown) => {
    throw request.device !== "cpu" && noDevice.test(messageOf(error))
      ? new LackError("device", error)
      : error;
  });
  sessions.set(request.session, { runtime, bound: new Map() });
}

function sessionOf({ session }: { readonly session: number }): OpenSession {
  const open = sessions.get(session);
  if (open === undefined) throw new Error("the session was released.");
  return open;
}

function toFeed({ Tensor }: Ort, { dtype, data, shape }: Tensor): OrtTensor {
  return new Tensor(dtype as "float32", data as Float32Array, [...shape]);
}

async function bind(request: EngineRequest & { kind: "bind" }): Promise<void> {
  const ort = await loadRuntime();
  const { bound, runtime } = sessionOf(request);
  const given: Iterable<[string, OrtTensor]> =
    typeof request.feeds === "number"
      ? heldSet(request.feeds)
      : Object.entries(request.feeds).map(([name, feed]) => [name, toFeed(ort, feed)]);
  for (const [name, tensor] of given) if (runtime.inputNames.includes(name)) bound.set(name, tensor);
}

async function run(request: EngineRequest & { kind: "run" }): Promise<TensorMap> {
  const ort = await loadRuntime();
  const { runtime, bound } = sessionOf(request);
  const feeds = Object.fromEntries(bound);
  for (const [name, feed] of Object.entries(request.feeds)) feeds[name] = toFeed(ort, feed);
  const results = await runtime.run(feeds, Object.values(request.fetches));
  const outputs: Record<string, Tensor> = {};
  const kept = request.keep?.names ?? {};
  const given = new Set<string>();
  for (const [name, fetched] of Object.entries(request.fetches)) {
    // Two outputs may be one value, such as gradients of terms of a sum: who writes into one must not change the other.
    const result = given.has(fetched) ? toFeed(ort, copyOf(results[fetched]!)) : results[fetched]!;
    given.add(fetched);
    const keptName = kept[name];
    if (keptName === undefined) outputs[name] = toHostTensor(result);
    else heldSet(request.keep!.held).set(keptName, result);
  }
  return outputs;
}

function heldSet(held: number): Map<string, OrtTensor> {
  const set = heldSets.get(held);
  if (set === undefined) throw new Error("the held tensors were released.");
  return set;
}

async function hold({ held, tensors }: EngineRequest & { kind: "hold" }): Promise<void> {
  const ort = await loadRuntime();
  heldSets.set(held, new Map(Object.entries(tensors).map(([name, tensor]) => [name, toFeed(ort, tensor)])));
}

function heldTensor(held: number, name: string): OrtTensor {
  const tensor = heldSet(held).get(name);
  if (tensor === undefined) throw new Error(`held tensor "${name}": expected it, got none.`);
  return tensor;
}

/** The runtime reads feeds where they are: what is written here is what the next run sees. */
function write({ held, name, offset, data }: EngineRequest & { kind: "write" }): void {
  (heldTensor(held, name).data as Float32Array).set(data, offset);
}

async function grow({ held, name, length }: EngineRequest & { kind: "grow" }): Promise<void> {
  const ort = await loadRuntime();
  const before = heldTensor(held, name);
  const shape = [length, ...before.dims.slice(1)];
  // Pages that nobody has written to take no memory.
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  data.set(before.data as Float32Array);
  heldSet(held).set(name, new ort.Tensor("float32", data, shape));
}

function read({ held, names }: EngineRequest & { kind: "read" }): TensorMap {
  const wanted = names ?? [...heldSet(held).keys()];
  return Object.fromEntries(wanted.map((name) => [name, copyOf(heldTensor(held, name))]));
}

/** Slices of this many elements stay in the cache through all passes of an elementwise graph. */
const sliceElements = 1 << 17;

/** The runtime copies whole outputs into new buffers, also those that it was given: slices keep the copies small. */
async function sweep(request: EngineRequest & { kind: "sweep" }): Promise<TensorMap> {
  const ort = await loadRuntime();
  const { runtime } = sessionOf(request);
  const { names, rewrites, fetches } = request;
  const shared = Object.entries(request.feeds).map(([name, feed]) => [name, toFeed(ort, feed)] as const);
  const vectors = Object.entries(request.vectors).map(([input, held]) => [input, heldSet(held)] as const);
  const summed = Object.entries(fetches).filter(([, fetched]) => rewrites[fetched] === undefined);
  const sums = new Map(summed.map(([name]) => [name, 0]));
  for (const name of names) {
    const whole = vectors.map(([input, set]) => [input, set.get(name)!.data as Float32Array] as const);
    const length = whole[0]![1].length;
    for (let start = 0; start < length; start += sliceElements) {
      const feeds: Record<string, OrtTensor> = Object.fromEntries(shared);
      for (const [input, data] of whole) {
        const slice = data.subarray(start, start + sliceElements);
        feeds[input] = new ort.Tensor("float32", slice, [slice.length]);
      }
      const targets: Record<string, OrtTensor | null> = Object.fromEntries(
        Object.values(fetches).map((fetched) => [fetched, feeds[rewrites[fetched] ?? ""] ?? null]),
      );
      const results = await runtime.run(feeds, targets);
      for (const [output, fetched] of summed)
        sums.set(output, sums.get(output)! + Number(results[fetched]!.data[0]));
    }
  }
  return Object.fromEntries(
    [...sums].map(([name, sum]): [string, Tensor] => [
      name,
      { dtype: "float64", shape: [], data: Float64Array.of(sum) },
    ]),
  );
}

function toHostTensor({ type, dims, data }: TypedTensor<OrtTensor.Type>): Tensor {
  const dtype = type as Tensor["dtype"];
  // An empty result can come back without data.
  return { dtype, shape: [...dims], data: (data as Tensor["data"] | undefined) ?? allocate(dtype, 0) };
}

function copyOf(tensor: OrtTensor): Tensor {
  const { dtype, shape, data } = toHostTensor(tensor as TypedTensor<OrtTensor.Type>);
  return { dtype, shape, data: data.slice() };
}

async function answer(request: EngineRequest): Promise<TensorMap | undefined> {
  switch (request.kind) {
    case "compile":
      await compile(request);
      return undefined;
    case "bind":
      await bind(request);
      return undefined;
    case "run":
      return run(request);
    case "hold":
      await hold(request);
      return undefined;
    case "read":
      return read(request);
    case "write":
      write(request);
      return undefined;
    case "grow":
      await grow(request);
      return undefined;
    case "drop":
      heldSets.delete(request.held);
      return undefined;
    case "sweep":
      return sweep(request);
    case "release":
      await sessions.get(request.session)?.runtime.release();
      sessions.delete(request.session);
      return undefined;
    case "close":
      for (const { runtime } of sessions.values()) await runtime.release();
      sessions.clear();
      heldSets.clear();
      return undefined;
  }
}

let queue: Promise<void> = Promise.resolve();
port.on("message", ({ id, request }: { id: number; request: EngineRequest }) => {
  queue = queue.then(async () => {
    let reply: EngineReply;
    let buffers: ArrayBuffer[] = [];
    try {
      const outputs = await answer(request);
      reply = outputs ? { id, ok: true, outputs } : { id, ok: true };
      buffers = Object.values(outputs ?? {}).map(({ data }) => data.buffer as ArrayBuffer);
    } catch (error) {
      const lacking = error instanceof LackError ? error.lacking : undefined;
      reply = { id, ok: false, message: messageOf(error), lacking };
    }
    port.postMessage(reply, [...new Set(buffers)]);
    if (request.kind === "close") port.close();
  });
});
