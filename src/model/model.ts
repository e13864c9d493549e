/** Legend: B batch, S sequence. */
import type {
  Adaptation,
  Architecture,
  BackboneConfig,
  BackboneInputs,
  RowsRead,
} from "../backbones/index.ts";
import {
  type Dim,
  type ExternalTensor,
  elementCount,
  floats,
  multiplyDims,
  type Params,
  PtuningError,
  type Rng,
  type TensorMap,
} from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import { type Head, type HeadInputs, meanOverTokens } from "../heads/index.ts";
import type { Method, ParamValues } from "../methods/index.ts";
import { type Dropout, type FormName, type LayerContext, weightForms } from "../nn/index.ts";
import type { TokenBatch } from "../text/index.ts";

/** The parts of a tuned model: everything that decides what it computes, except the trained tensors. */
export interface ModelParts {
  readonly backbone: {
    readonly id: string;
    readonly architecture: Architecture;
    readonly config: BackboneConfig;
    readonly weights: ReadonlyMap<string, ExternalTensor>;
    readonly precision: FormName;
  };
  readonly method: Method;
  readonly head: Head;
  /** Name of the head among several on one prompt; see {@link headParameter}. */
  readonly headName?: string;
  /** Weights that the checkpoint lacks; see {@link missingWeights}. */
  readonly frozen?: Params;
  /** Tensors of method or head that are not trained but stay as they are, such as a loaded head. */
  readonly fixed?: Params;
}

/** Name of a head's parameter: `head.weight`, or `NAME/head.weight` where there are several heads. */
export function headParameter(headName: string | undefined, name: string): string {
  return headName ? `${headName}/${name}` : name;
}

/** What the name of a parameter starts with that takes the place of a weight of the backbone. */
export const weightPrefix = "backbone.";

/**
 * The weights that the head reads and the checkpoint lacks, drawn as transformers draws new ones:
 * N(0, initializer_range), biases 0, scales of layer norms 1.
 */
export function missingWeights({ backbone, head }: ModelParts, rng: Rng): Params {
  const { architecture, config, weights } = backbone;
  const missing = Object.entries(head.backboneWeights?.(architecture, config) ?? {}).flatMap(
    ([name, shape]): [string, Params[string]][] => {
      if (weights.has(name)) return [];
      const stream = rng.split(name);
      const constant = name.endsWith(".weight") ? 1 : 0;
      const draw = (): number => (shape.length > 1 ? stream.normal() * config.initializerRange : constant);
      return [[name, floats(shape, Array.from({ length: elementCount(shape) }, draw))]];
    },
  );
  return Object.fromEntries(missing);
}

/**
 * Checks that backbone, method and task go together.
 * @throws BACKBONE_UNSUPPORTED if the head needs a masked-LM head and the checkpoint has none; OPTION_INVALID if the
 *   template holds pseudo-tokens that the method does not bring, or the other way round
 */
export function checkTogether({ backbone, method, head }: ModelParts, pseudoTokens = 0): void {
  const { architecture, config, weights, id } = backbone;
  if (head.usesLmHead && architecture.lmHead.refusal) {
    throw new PtuningError(
      "BACKBONE_UNSUPPORTED",
      `backbone ${id}: expected one that guesses masked words, as the task's head is ${head.name}: ${architecture.lmHead.refusal.reason}.`,
      { hint: "Choose task.head: linear, or another backbone." },
    );
  }
  const lacking = Object.keys(architecture.lmHead.weights(config)).find((name) => !weights.has(name));
  if (head.usesLmHead && (lacking !== undefined || !config.tiesWordEmbeddings)) {
    const got =
      lacking === undefined
        ? "one that does not share the word embeddings"
        : `none (no ${architecture.checkpointName(lacking)})`;
    throw new PtuningError(
      "BACKBONE_UNSUPPORTED",
      `backbone ${id}: expected a masked-LM head, as the task's head is ${head.name}, got ${got}.`,
      {
        hint: "Choose a checkpoint that was saved with its masked-LM head (BertForMaskedLM, RobertaForMaskedLM), or task.head: linear.",
      },
    );
  }
  if (method.fitsHead && head.readout === undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `method: expected one that makes updates beside the head ${head.name}, got ${method.name} that fits it.`,
      { hint: "Only a linear layer on one vector per text can be fitted: leave out method.solver." },
    );
  }
  if (head.bare !== undefined && method.trains !== undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `head: expected one that reads the tuned backbone alone beside the method ${method.name}, got one that reads the untouched one as well.`,
      {
        hint: "Its weights are trained, so that there is no untouched backbone any more: train with training.blend: never.",
      },
    );
  }
  const brought = method.pseudoTokens ?? 0;
  if (brought !== pseudoTokens) {
    throw new PtuningError(
      "OPTION_INVALID",
      `template: expected as many pseudo-tokens as the method ${method.name} has vectors for, ${brought}, got ${pseudoTokens}.`,
      {
        hint: "Pseudo-tokens {p*n} of a template go with the methods p-tuning and prompt-tuning, placement: template, and promptLength: their number.",
      },
    );
  }
}

/** The greatest number of tokens that the model takes. */
export function longestInput({ backbone, method }: ModelParts): number {
  return backbone.architecture.maxLength(
    backbone.config,
    method.positionOffset(backbone.architecture, backbone.config),
  );
}

/**
 * Checks a wish for a greatest length against the backbone's position table.
 * @throws SEQUENCE_TOO_LONG naming both
 */
export function checkMaxLength(parts: ModelParts, maxLength: number): void {
  const offset = parts.method.positionOffset(parts.backbone.architecture, parts.backbone.config);
  const longest = longestInput(parts);
  if (maxLength <= longest && longest > 0) return;
  const positions = longest + offset;
  throw new PtuningError(
    "SEQUENCE_TOO_LONG",
    `maxLength: ${maxLength} tokens behind position offset ${offset} need ${maxLength + offset} positions, ` +
      `${parts.backbone.id} has ${positions}.`,
    {
      hint: `Use a maxLength of at most ${Math.max(longest, 0)}, a shorter prompt, or positionOffset: false.`,
    },
  );
}

/** Names of the batch inputs of every model graph. */
export function batchFeeds(batch: TokenBatch): TensorMap {
  return {
    input_ids: batch.inputIds,
    token_type_ids: batch.tokenTypeIds,
    attention_mask: batch.attentionMask,
    ...(batch.marks && { marked_rows: batch.marks.rows, mark_counts: batch.marks.counts }),
  };
}

/** The trainable tensors as graph inputs, from their shapes. */
export function paramInputs(
  b: GraphBuilder,
  params: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): ParamValues {
  return Object.fromEntries(
    Object.entries(params).map(([name, { shape }]) => [name, b.input(name, "float32", shape)]),
  );
}

/** Writes backbone, method and head; returns the logits. */
export function buildLogits(
  b: GraphBuilder,
  parts: ModelParts,
  trained: ParamValues,
  dropout: Dropout | undefined,
  trunk?: Trunk,
  bare?: BareSource,
): Value {
  const { ctx, head } = buildBeneathHead(b, parts, trained, dropout, trunk, bare);
  return parts.head.build(ctx, head);
}

/** Writes backbone and method, and what the head's linear layer reads: `[B, F]`. The head must have a readout. */
export function buildFeatures(
  b: GraphBuilder,
  parts: ModelParts,
  trained: ParamValues,
  trunk?: Trunk,
): Value {
  const { ctx, head } = buildBeneathHead(b, parts, trained, undefined, trunk);
  return parts.head.readout!.features(ctx, head);
}

/** Where what a head reads of the untouched backbone comes from: the same graph, or an input of it. */
export type BareSource = "computed" | "given";

/** Input of a graph that is given what its head reads of the untouched backbone: `[B, F]`. */
export const bareInput = "bare.features";

/** Writes the untouched backbone alone, and what the head reads of it: `[B, F]`. The head must read it. */
export function buildBare(b: GraphBuilder, parts: ModelParts): Value {
  const { ctx, inputs } = startModel(b, parts, undefined, {}, parts.head.rows);
  return bareFeatures(ctx, parts, inputs);
}

function bareFeatures(
  given: LayerContext,
  { backbone: { architecture, config }, head }: ModelParts,
  inputs: BackboneInputs,
): Value {
  const layers: Value[] = [];
  const onStates = (states: Value): void => void layers.push(states);
  const ctx = { ...given, dropout: undefined, ...(head.everyLayer && { onStates }) };
  const hidden = architecture.forward(ctx, config, inputs, untouched, head.rows);
  const read = head.everyLayer && { layers };
  return head.bare!.features(ctx, { architecture, config, inputs, hidden, ...read, params: {} });
}

/** Writes backbone and method, and the untouched backbone where the head reads that as well. */
export function buildBeneathHead(
  b: GraphBuilder,
  parts: ModelParts,
  trained: ParamValues,
  dropout: Dropout | undefined,
  trunk: Trunk | undefined,
  bareSource: BareSource = "computed",
): { readonly ctx: LayerContext; readonly head: HeadInputs } {
  const { architecture, config } = parts.backbone;
  const fixed = Object.entries(parts.fixed ?? {}).map(([name, tensor]) => [
    name,
    b.initializer(name, tensor),
  ]);
  const params: ParamValues = { ...trained, ...Object.fromEntries(fixed) };
  const { ctx: plain, inputs } = startModel(b, parts, dropout, params, parts.head.rows);
  const adaptation: Adaptation = parts.method.build(plain, config, params, architecture);
  const layers: Value[] = [];
  const onStates = (states: Value): void => void layers.push(states);
  const ctx = { ...adapted(plain, adaptation), ...(parts.head.everyLayer && { onStates }) };
  const from = trunk && { layer: trunk.layers, hidden: trunkInput(b, parts, inputs, trunk) };
  const hidden = architecture.forward(ctx, config, inputs, adaptation, parts.head.rows, from ? { from } : {});
  const prefix = headParameter(parts.headName, "");
  const own = Object.entries(params)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, value]) => [name.slice(prefix.length), value] as const);
  const heads: ParamValues = { ...params, ...Object.fromEntries(own) };
  const read = parts.head.everyLayer && { layers };
  const beside = parts.head.bare && {
    bare:
      bareSource === "given"
        ? b.input(bareInput, "float32", ["B", parts.head.bare.width(config)])
        : bareFeatures(plain, parts, inputs),
  };
  return { ctx, head: { architecture, config, inputs, hidden, ...read, ...beside, params: heads } };
}

/** With what the method makes of linear layers. */
function adapted(ctx: LayerContext, { linear }: Adaptation): LayerContext {
  return linear ? { ...ctx, adaptLinear: (name, x, y) => linear(ctx, name, x, y) } : ctx;
}

/** How cached states are kept. */
export type TrunkDtype = "float32" | "float16";

/** The lowest layers that no trained tensor reaches: what they compute is the same in every epoch. */
export interface Trunk {
  /** Number of layers. */
  readonly layers: number;
  readonly dtype: TrunkDtype;
}

/** Input of a graph on a trunk, and the output of the trunk's own graph: `[S·B, E]`. */
export const trunkStates = "trunk.states";

/** States that were computed before, as an input. */
function trunkInput(
  b: GraphBuilder,
  { backbone }: ModelParts,
  { inputIds }: BackboneInputs,
  { dtype }: Trunk,
): Value {
  const rows = inputIds.shape.reduce<Dim>(multiplyDims, 1);
  const states = b.input(trunkStates, dtype, [rows, backbone.config.hiddenSize]);
  return dtype === "float32" ? states : b.op("Cast", [states], { to: "float32" });
}

/** Writes the lowest layers alone, which the method leaves as they are. */
export function buildTrunk(b: GraphBuilder, parts: ModelParts, layers: number): Value {
  const { backbone, method } = parts;
  const { ctx, inputs } = startModel(b, parts, undefined, {}, parts.head.rows);
  const positionOffset = method.positionOffset(backbone.architecture, backbone.config);
  const behind: Adaptation = { ...untouched, positionOffset };
  return backbone.architecture.forward(ctx, backbone.config, inputs, behind, "all", { end: layers });
}

/** Nothing in front of any layer, the text at position 0. */
const untouched: Adaptation = { positionOffset: 0, layerPrompt: () => undefined };

/** Writes the untouched backbone; returns its last layer averaged over the tokens, `[B, E]`. */
export function buildMeanPooled(b: GraphBuilder, backbone: ModelParts["backbone"]): Value {
  const { ctx, inputs } = startModel(b, { backbone }, undefined, {});
  const hidden = backbone.architecture.forward(ctx, backbone.config, inputs, untouched, "all");
  return meanOverTokens(ctx, hidden, inputs.attentionMask);
}

/** Inputs of the graph of keys and values: rows of `[S·B, E]`. */
export const wantedRows = "rows";

/** Writes the backbone as the method's texts meet it without a prompt; returns key and value of each layer in turn, `[N, 2·L·E]`. */
export function buildKeysAndValues(b: GraphBuilder, { backbone, method, head }: ModelParts): Value {
  const { architecture, config } = backbone;
  const { ctx, inputs } = startModel(b, { backbone }, undefined, {}, head.rows);
  const rows = b.input(wantedRows, "int32", ["N"]);
  const found: Value[] = [];
  const onKeysAndValues = (...both: Value[]): void => {
    for (const value of both) {
      const [length, batch] = value.shape as [Dim, Dim, number, number];
      const flat = b.reshape(value, [multiplyDims(length, batch), config.keyWidth]);
      found.push(b.op("Gather", [flat, rows], { axis: 0 }));
    }
  };
  const behind: Adaptation = { ...untouched, positionOffset: method.positionOffset(architecture, config) };
  architecture.forward({ ...ctx, onKeysAndValues }, config, inputs, behind, "all");
  return b.op("Concat", found, { axis: 1 });
}

/** What layers must know of a model. */
type ContextParts = Pick<ModelParts, "backbone" | "frozen"> & Partial<Pick<ModelParts, "head">>;

function startModel(
  b: GraphBuilder,
  parts: ContextParts,
  dropout: Dropout | undefined,
  params: ParamValues,
  rows: RowsRead = "all",
): { ctx: LayerContext; inputs: BackboneInputs } {
  const marked = typeof rows === "object" && {
    markedRows: b.input("marked_rows", "int32", ["gaps" in rows ? rows.gaps : rows.marked, "B"]),
    markCounts: b.input("mark_counts", "int32", ["B"]),
    hasGaps: "gaps" in rows,
  };
  const inputs: BackboneInputs = {
    inputIds: b.input("input_ids", "int32", ["S", "B"]),
    tokenTypeIds: b.input("token_type_ids", "int32", ["S", "B"]),
    attentionMask: b.input("attention_mask", "int32", ["S", "B"]),
    ...marked,
  };
  return { ctx: layerContext(b, parts, dropout, params), inputs };
}

/**
 * Gives layers the checkpoint's weights, or the trainable tensors that replace them, one graph value each; 16-bit
 * floats become float32.
 */
function layerContext(
  b: GraphBuilder,
  { backbone: { id, weights, precision }, frozen = {}, head }: ContextParts,
  dropout: Dropout | undefined,
  params: ParamValues,
): LayerContext {
  const values = new Map<string, Value>();
  return {
    b,
    coarseGradients: weightForms[precision].hasCoarseGradients,
    unevenGradients: head?.perPosition ?? false,
    dropout,
    batchInvariant: dropout === undefined,
    isFrozen: (name) => !(`${weightPrefix}${name}` in params),
    hasWeight: (name) => `${weightPrefix}${name}` in params || name in frozen || weights.has(name),
    weight(name, shape) {
      const known = values.get(name);
      if (known !== undefined) return known;
      const trained = params[`${weightPrefix}${name}`];
      const source = frozen[name] ?? weights.get(name);
      // A trained tensor of another shape does not give way to the frozen one.
      const own = trained ?? source;
      if (own === undefined || `${own.shape}` !== `${shape}`) {
        const got = own === undefined ? "no such weight" : `[${own.shape.join(", ")}]`;
        throw new PtuningError(
          "BACKBONE_INVALID",
          `backbone ${id}: weight "${name}": expected [${shape.join(", ")}], got ${got}.`,
          { hint: "The checkpoint does not fit its config.json, or its download is damaged." },
        );
      }
      if (trained !== undefined) return trained;
      const stored = b.initializer(name, source!);
      const isHalf = stored.dtype === "float16" || stored.dtype === "bfloat16";
      const value = isHalf ? b.op("Cast", [stored], { to: "float32" }) : stored;
      values.set(name, value);
      return value;
    },
  };
}
