import { gradients } from "../autodiff/index.ts";
import type { BackboneConfig } from "../backbones/index.ts";
import type { Params } from "../core/index.ts";
import type { Engine } from "../engine/index.ts";
import { type Graph, GraphBuilder } from "../graph/index.ts";
import type { Method } from "../methods/index.ts";
import { Dropout, type DropoutPlan, type FormName, weightForms } from "../nn/index.ts";
import type { Task } from "../tasks/index.ts";
import {
  type BareSource,
  buildBare,
  buildFeatures,
  buildKeysAndValues,
  buildLogits,
  buildMeanPooled,
  type ModelParts,
  paramInputs,
  type Trunk,
} from "./model.ts";
import type { ParamShapes } from "./parameters.ts";

/**
 * The graph of prediction: batch and trained tensors in, and the states of a trunk if there is one; {@link logitsOutput} out.
 * @param bare whether what the head reads of the untouched backbone, if it reads it, is another input, `bareInput`
 */
export function inferenceGraph(
  parts: ModelParts,
  params: ParamShapes,
  trunk?: Trunk,
  bare?: BareSource,
): Graph {
  const b = new GraphBuilder("inference");
  b.output(logitsOutput, buildLogits(b, parts, paramInputs(b, params), undefined, trunk, bare));
  return b.build();
}

/**
 * The pass of the untouched backbone for a head that reads it (`head.bare`): batch in, {@link featuresOutput} out. It is the
 * same for every adapter on the backbone whose `head.bare.name` is the same.
 */
export function bareGraph(parts: ModelParts): Graph {
  const b = new GraphBuilder("bare");
  b.output(featuresOutput, buildBare(b, parts));
  return b.build();
}

/** Output of {@link inferenceGraph}. */
export const logitsOutput = "logits";

/**
 * The graph beneath a head's linear layer: batch and trained tensors in, and the states of a trunk if there is one;
 * {@link featuresOutput} out. The head must have a readout.
 */
export function featuresGraph(parts: ModelParts, params: ParamShapes, trunk?: Trunk): Graph {
  const b = new GraphBuilder("features");
  b.output(featuresOutput, buildFeatures(b, parts, paramInputs(b, params), trunk));
  return b.build();
}

/** Output of {@link featuresGraph}: `[B, F]`. */
export const featuresOutput = "features";

/** Output of {@link meanPoolingGraph}. */
export const embeddingsOutput = "embeddings";

/** The graph of embeddings by the untouched backbone: batch in, mean-pooled vectors out, {@link embeddingsOutput}. */
export function meanPoolingGraph(backbone: ModelParts["backbone"]): Graph {
  const b = new GraphBuilder("mean pooling");
  b.output(embeddingsOutput, buildMeanPooled(b, backbone));
  return b.build();
}

/** The graph of what attention sees of texts: batch and {@link wantedRows} in, their `keys and values` out. */
export function keysAndValuesGraph(parts: ModelParts): Graph {
  const b = new GraphBuilder("keys and values");
  b.output(keysAndValuesOutput, buildKeysAndValues(b, parts));
  return b.build();
}

/** Output of {@link keysAndValuesGraph}. */
export const keysAndValuesOutput = "keys and values";

/** Dropout of the backbone while it trains; a rate that is left out is the checkpoint's own. */
export interface BackboneDropout {
  readonly hidden?: number;
  readonly attention?: number;
}

/**
 * `fast` keeps what the backward pass reads; `lean` keeps the input of each checkpointed segment (an encoder layer)
 * and computes the rest again. Both give the same numbers.
 */
export type MemoryMode = "fast" | "lean";

/**
 * Whether a training session's weights are worth rearranging: packed fp32 weights are held once per direction
 * beside each other, packed int8 weights take the place of the file's pages.
 */
export const prepackFor = (memory: MemoryMode, precision: FormName): boolean =>
  memory === "fast" || weightForms[precision].packedCopies === 1;

/** A training step, and what its dropout needs. */
export interface TrainingGraph {
  readonly graph: Graph;
  readonly dropout: DropoutPlan;
}

/** Name of the input that scales the summed loss: 1 / total weight of the effective batch. */
export const lossScaleInput = "loss.scale";

/** Output that holds the gradient of a trainable tensor. */
export const gradientOutput = (name: string): string => `gradient ${name}`;

/**
 * The graph of a training step: batch, targets and trainable tensors in, `loss` and one gradient per
 * trainable tensor out.
 */
export function trainingGraph(
  parts: ModelParts,
  task: Task,
  params: ParamShapes,
  backboneDropout: BackboneDropout = {},
  memory: MemoryMode = "fast",
  trunk?: Trunk,
): TrainingGraph {
  const b = new GraphBuilder("training");
  const dropout = new Dropout(b);
  const values = paramInputs(b, params);
  const { config } = parts.backbone;
  const trainedConfig: BackboneConfig = {
    ...config,
    hiddenDropout: backboneDropout.hidden ?? config.hiddenDropout,
    attentionDropout: backboneDropout.attention ?? config.attentionDropout,
  };
  const training = { ...parts, backbone: { ...parts.backbone, config: trainedConfig } };
  const logits = buildLogits(b, training, values, dropout, trunk);
  const summed = task.loss(b, logits);
  const loss = b.op("Mul", [summed, b.input(lossScaleInput, "float32", [])]);
  const names = Object.keys(values);
  const grads = gradients(
    b,
    loss,
    names.map((name) => values[name]!),
    { recompute: memory === "lean" },
  );
  b.output("loss", loss);
  for (const [i, name] of names.entries()) b.output(gradientOutput(name), grads[i]!);
  return { graph: b.build(), dropout: dropout.plan() };
}

/** Computes the parameters of `method.deployed`, such as the flat prompt that an MLP makes. */
export async function foldParams({ folding }: Method, params: Params, engine: Engine): Promise<Params> {
  if (folding === undefined) return params;
  const isFolded = ([name]: [string, unknown]): boolean => folding.params.includes(name);
  const folded = Object.fromEntries(Object.entries(params).filter(isFolded));
  const kept = Object.fromEntries(Object.entries(params).filter((entry) => !isFolded(entry)));
  const b = new GraphBuilder("fold");
  const values = folding.build(b, paramInputs(b, folded));
  for (const [name, value] of Object.entries(values)) b.output(name, value);
  await using session = await engine.compile(b.build());
  const replaced = (await session.run(folded)) as Params;
  return { ...replaced, ...kept };
}
