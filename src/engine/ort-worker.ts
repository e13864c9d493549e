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
let library: Ort | undefined;

class LoadError extends Error {}

async function loadRuntime(): Promise<Ort> {
  try {
    library ??= await import("onnxruntime-node");
    return library;
  } catch (error) {
    throw new LoadError(messageOf(error));
  }
}

async function compile(request: EngineRequest & { kind: "compile" }): Promise<void> {
  const { InferenceSession } = await loadRuntime();
  const options: InferenceSession.SessionOptions = {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    // The pattern's block is allocated beside the arena and doubles the peak from the second run on.
    enableMemPattern: false,
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
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
  sessions.set(request.session, {
    runtime: await InferenceSession.create(request.model, options),
    bound: new Map(),
  });
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
  const { bound } = sessionOf(request);
  for (const [name, feed] of Object.entries(request.feeds)) bound.set(name, toFeed(ort, feed));
}

async function run(request: EngineRequest & { kind: "run" }): Promise<TensorMap> {
  const ort = await loadRuntime();
  const { runtime, bound } = sessionOf(request);
  const feeds = Object.fromEntries(bound);
  for (const [name, feed] of Object.entries(request.feeds)) feeds[name] = toFeed(ort, feed);
  const results = await runtime.run(feeds, Object.values(request.fetches));
  const outputs: Record<string, Tensor> = {};
  for (const [name, fetched] of Object.entries(request.fetches)) {
    outputs[name] = toHostTensor(results[fetched]!);
  }
  return outputs;
}

function toHostTensor({ type, dims, data }: TypedTensor<OrtTensor.Type>): Tensor {
  const dtype = type as Tensor["dtype"];
  // An empty result can come back without data.
  return { dtype, shape: [...dims], data: (data as Tensor["data"] | undefined) ?? allocate(dtype, 0) };
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
    case "release":
      await sessions.get(request.session)?.runtime.release();
      sessions.delete(request.session);
      return undefined;
    case "close":
      for (const { runtime } of sessions.values()) await runtime.release();
      sessions.clear();
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
      reply = { id, ok: false, message: messageOf(error), loadFailed: error instanceof LoadError };
    }
    port.postMessage(reply, [...new Set(buffers)]);
    if (request.kind === "close") port.close();
  });
});
