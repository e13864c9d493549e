/** Every engine that the conformance suite runs over. */

import { type Engine, limitedEngine, nodeEngine, referenceEngine } from "ptuning/engine";
import { floats, messageOf } from "ptuning/internal/core";
import { GraphBuilder, standardOps } from "ptuning/internal/graph";

/** An engine, and how far its numbers may be from exact ones. */
export interface TestedEngine {
  readonly name: string;
  readonly engine: Engine;
  /** Of one op. */
  readonly tolerance: number;
}

const [reference, native, gpu] = [
  referenceEngine(),
  nodeEngine({ threads: 1 }),
  nodeEngine({ device: "webgpu" }),
];

/** Why there is none; undefined where WebGPU computes. */
export const noGpu: string | undefined = await (async () => {
  const b = new GraphBuilder("double");
  b.output("y", b.op("Mul", [b.input("x", "float32", [1]), b.scalar(2)]));
  try {
    await using session = await gpu.compile(b.build());
    const { y } = await session.run({ x: floats([1], [21]) });
    return y!.data[0] === 42 ? undefined : `21 and 21 are ${y!.data[0]} on WebGPU`;
  } catch (error) {
    return messageOf(error);
  }
})();

/** Those that run here, and each as if it had ONNX's own ops alone. */
export const testedEngines: readonly TestedEngine[] = [
  { engine: reference, tolerance: 1e-12 },
  { engine: native, tolerance: 1e-5 },
  { engine: limitedEngine(reference, { ops: standardOps }), tolerance: 1e-12 },
  { engine: limitedEngine(native, { ops: standardOps }), tolerance: 1e-5 },
  ...(noGpu === undefined ? [{ engine: gpu, tolerance: 1e-5 }] : []),
].map((tested) => ({ name: tested.engine.name, ...tested }));

/** Ends them all. */
export const closeEngines = (): Promise<unknown> =>
  Promise.all([...testedEngines.map(({ engine }) => engine.close()), gpu.close()]);
