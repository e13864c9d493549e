/** Every engine that the conformance suite runs over. */
import { type Engine, limitedEngine, nodeEngine, referenceEngine } from "ptuning/engine";
import { standardOps } from "ptuning/graph";

/** An engine, and how far its numbers may be from exact ones. */
export interface TestedEngine {
  readonly name: string;
  readonly engine: Engine;
  /** Of one op. */
  readonly tolerance: number;
}

const [reference, native] = [referenceEngine(), nodeEngine({ threads: 1 })];

/** Those that run here, and each as if it had ONNX's own ops alone. */
export const testedEngines: readonly TestedEngine[] = [
  { engine: reference, tolerance: 1e-12 },
  { engine: native, tolerance: 1e-5 },
  { engine: limitedEngine(reference, { ops: standardOps }), tolerance: 1e-12 },
  { engine: limitedEngine(native, { ops: standardOps }), tolerance: 1e-5 },
].map((tested) => ({ name: tested.engine.name, ...tested }));

/** Ends them all. */
export const closeEngines = (): Promise<unknown> =>
  Promise.all(testedEngines.map(({ engine }) => engine.close()));
