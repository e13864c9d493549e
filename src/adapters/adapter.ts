import type { Backbone } from "../backbones/index.ts";
import { type Params, PtuningError, Rng } from "../core/index.ts";
import type { Method } from "../methods/index.ts";
import {
  checkMaxLength,
  checkTogether,
  type ModelParts,
  missingWeights,
  type ParamShapes,
  paramShapes,
  weightPrefix,
} from "../model/index.ts";
import type { Task } from "../tasks/index.ts";
import type { CheckpointSource } from "./checkpoint.ts";
import { collectContents } from "./contents.ts";
import { adapterContents, saveAdapter } from "./save.ts";

/** What an adapter knows of the backbone that it was trained on. */
export interface BackboneReference {
  /** Hub id or folder base name; never a path. */
  readonly id: string;
  /** Empty where nobody knows the weights: the adapter came from PEFT, or is a checkpoint of its own. */
  readonly fingerprint: string;
  readonly modelType: string;
  readonly hiddenSize: number;
  /** 0 where an adapter of PEFT does not say. */
  readonly numLayers: number;
  /** Likewise. */
  readonly numHeads: number;
}

/** How an adapter came to be; all of it plain data. */
export interface Provenance {
  readonly createdAt: string;
  /** Versions of this package, Node and the engine. */
  readonly versions: Readonly<Record<string, string>>;
  readonly data?: {
    readonly fingerprint: string;
    readonly train: number;
    readonly dev: number;
    /** Columns of the training file. */
    readonly table?: Readonly<Record<string, unknown>>;
  };
  /** Every training setting, resolved. */
  readonly training?: Readonly<Record<string, unknown>>;
  /** Scores by split: `dev`, `test`. */
  readonly metrics?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** What an adapter consists of. */
export interface AdapterFields {
  readonly task: Task;
  readonly method: Method;
  /** What was trained. */
  readonly params: Params;
  /** Weights that the checkpoint lacks and that were not trained, such as a random pooler; default none. */
  readonly frozen?: Params;
  readonly backbone: BackboneReference;
  /** Greatest number of tokens it was trained with. */
  readonly maxLength: number;
  readonly provenance: Provenance;
  /** Where the other weights are, for methods that are saved as a whole checkpoint. */
  readonly source?: CheckpointSource;
}

/** A trained result: prompt, head, labels and provenance; never the backbone. */
export class Adapter implements AdapterFields {
  readonly task: Task;
  readonly method: Method;
  readonly params: Params;
  readonly frozen: Params;
  readonly backbone: BackboneReference;
  readonly maxLength: number;
  readonly provenance: Provenance;
  readonly source?: CheckpointSource;

  constructor(fields: AdapterFields) {
    // What it leaves open is never looked for in examples that it is asked about.
    this.task = fields.task.tune?.({}) ?? fields.task;
    this.method = fields.method;
    this.params = fields.params;
    this.frozen = fields.frozen ?? {};
    this.backbone = fields.backbone;
    this.maxLength = fields.maxLength;
    this.provenance = fields.provenance;
    if (fields.source) this.source = fields.source;
  }

  /**
   * Writes the adapter folder, or a checkpoint where all weights were trained; an existing adapter is replaced as a
   * whole, and other files that lie with it stay.
   * @throws OUTPUT_EXISTS if the folder holds other files and no adapter; STORAGE_FULL
   */
  save(folder: string): Promise<void> {
    return saveAdapter(this, folder);
  }

  /**
   * What {@link save} writes, by the names of the files, in memory: for places that have no folders.
   * @throws DATA_INVALID if a label or a setting looks like a secret
   */
  async files(): Promise<Map<string, Uint8Array>> {
    return collectContents(await adapterContents(this));
  }
}

/** The reference to a loaded backbone. */
export function referenceTo({ id, fingerprint, config }: Backbone): BackboneReference {
  const { modelType, hiddenSize, numLayers, numHeads } = config;
  return { id, fingerprint, modelType, hiddenSize, numLayers, numHeads };
}

/**
 * Puts an adapter on a backbone.
 * @throws ADAPTER_INCOMPATIBLE if the backbone is another one or the tensors do not fit it
 */
export function attach(adapter: Adapter, backbone: Backbone): ModelParts {
  checkBackbone(adapter.backbone, backbone);
  const { params, frozen } = adapter;
  const parts: ModelParts = { backbone, method: adapter.method, head: adapter.task.head, frozen };
  checkTogether(parts, adapter.task.pseudoTokens);
  checkMaxLength(parts, adapter.maxLength);
  const expected = paramShapes(parts);
  assertFits(expected, params);
  // An adapter of PEFT brings a pooler also where the checkpoint has one of its own.
  const own = Object.keys(frozen).filter((name) => backbone.weights.has(name));
  const brought = Object.fromEntries(Object.entries(frozen).filter(([name]) => !own.includes(name)));
  const missing = Object.entries(missingWeights(parts, new Rng(0)));
  assertFits(
    Object.fromEntries(missing.filter(([name]) => !(`${weightPrefix}${name}` in expected))),
    brought,
  );
  return parts;
}

/**
 * What cannot be told of an adapter and a backbone that fit each other, for people; nothing where all was compared.
 */
export function backboneDoubts(
  { backbone: reference, source }: Pick<AdapterFields, "backbone" | "source">,
  backbone: Pick<Backbone, "fingerprint">,
): readonly string[] {
  const { fingerprint, id } = reference;
  // All of its weights are its own.
  if (source !== undefined || fingerprint === backbone.fingerprint) return [];
  return [
    fingerprint === ""
      ? `The adapter does not say on which weights of ${id || "its backbone"} it was trained: only sizes were compared.`
      : `The adapter's fingerprint of ${id} is of an old form that saw a part of the weights: whether all of them are ` +
        "those that it was trained on cannot be told.",
  ];
}

/**
 * Whether what was trained on one backbone fits another; see {@link backboneDoubts} for what this cannot tell.
 * @throws ADAPTER_INCOMPATIBLE if it is not the same
 */
export function checkBackbone(reference: BackboneReference, backbone: Backbone): void {
  const { fingerprint, id, hiddenSize, numLayers } = reference;
  const { config } = backbone;
  if (hiddenSize !== config.hiddenSize || ![0, config.numLayers].includes(numLayers)) {
    throw incompatible(
      `expected a backbone of ${numLayers || "any number of"} layers and hidden size ${hiddenSize} (${id}), ` +
        `got ${config.numLayers} and ${config.hiddenSize} (${backbone.id}).`,
    );
  }
  if (!["", backbone.fingerprint, backbone.formerFingerprint].includes(fingerprint)) {
    throw incompatible(
      `expected ${id} with fingerprint ${fingerprint}, ${backbone.id} has ${backbone.fingerprint}.`,
    );
  }
}

/** Compares names and shapes. */
function assertFits(expected: ParamShapes, tensors: ParamShapes): void {
  for (const name of new Set([...Object.keys(expected), ...Object.keys(tensors)])) {
    const [want, got] = [expected[name], tensors[name]].map((t) => (t ? `[${t.shape}]` : "none"));
    if (want !== got) throw incompatible(`tensor "${name}": expected ${want}, got ${got}.`);
  }
}

function incompatible(message: string): PtuningError {
  return new PtuningError("ADAPTER_INCOMPATIBLE", `adapter: ${message}`, {
    hint: "An adapter works only on the exact backbone that it was trained on.",
  });
}
