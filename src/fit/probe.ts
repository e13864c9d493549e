import type { Backbone } from "../backbones/index.ts";
import { type Params, Rng } from "../core/index.ts";
import { type Head, headWeight, type Pooling, sequenceHead } from "../heads/index.ts";
import { linearProbe } from "../methods/index.ts";
import type { ModelParts } from "../model/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { headFeatures } from "./features.ts";
import { type Features, fitReadout } from "./readout.ts";

/** A linear model on what the untouched backbone makes of texts. */
export interface Probe {
  readonly parts: ModelParts & { readonly backbone: Backbone };
  readonly params: Params;
}

/** What a probe is fitted on. */
export interface ProbeData {
  readonly backbone: Backbone;
  /** Its head must have a readout. */
  readonly task: Task;
  readonly encoded: Encoded;
  /** How a text becomes one vector. */
  readonly pooling: Pooling;
  readonly maxLength: number;
  readonly seed: number;
}

/** A probe before it is fitted. */
export interface OpenProbe extends Pick<Probe, "parts"> {
  /** What its linear layer reads of the texts. */
  readonly features: Features;
  /** Rows of its matrix. */
  readonly outputs: number;
}

/** The parts of a probe, and what its linear layer reads of the texts. */
export async function probeFeatures(data: ProbeData): Promise<OpenProbe> {
  const { backbone, task, encoded, pooling, maxLength, seed } = data;
  const outputs = outputsOf(task.head, backbone);
  const head = sequenceHead(outputs, { pooling });
  const parts = { backbone, method: linearProbe({ solver: "fit" }), head };
  const rng = new Rng(seed, "probe");
  return { parts, features: await headFeatures({ parts, params: {}, maxLength, rng }, encoded), outputs };
}

/** Fits a probe by the task's own loss. */
export async function fitProbe(data: ProbeData): Promise<Probe> {
  const { backbone, task, encoded, seed } = data;
  const { parts, features, outputs } = await probeFeatures(data);
  const { params } = await fitReadout({
    engine: backbone.engine,
    task,
    encoded,
    features,
    outputs,
    rng: new Rng(seed, "probe"),
  });
  return { parts, params };
}

/** Rows of a head's matrix. */
function outputsOf(head: Head, { config }: Backbone): number {
  return head.initialize(config, new Rng(0))[headWeight]!.shape[0]!;
}
