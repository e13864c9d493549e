import { type ExternalTensor, fileName, PtuningError } from "../core/index.ts";
import type { Engine } from "../engine/index.ts";
import { type Files, fileJson } from "../files/portable.ts";
import type { FormName } from "../nn/index.ts";
import type { Tokenizer } from "../text/index.ts";
import { boundedTokenizer } from "../text/portable.ts";
import type { Architecture, BackboneConfig, WeightShapes } from "./architecture.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { usableWeights } from "./converted.ts";
import { fingerprintOf, type HashSource, hashWhole } from "./fingerprint.ts";
import { inMemory, type WeightMaker } from "./made-weights.ts";
import { architectureOf } from "./registry.ts";
import { safetensorsFormat, type WeightFormat } from "./weight-files.ts";

/** A frozen transformer, ready to be adapted. */
export interface Backbone extends AsyncDisposable {
  /** Repository id, or a folder's base name. */
  readonly id: string;
  /** Where its files lie; what they are called together, where that is no folder. */
  readonly folder: string;
  /** Configuration, tokenizer and weights as they were found. */
  readonly files: Files;
  readonly architecture: Architecture;
  readonly config: BackboneConfig;
  readonly weights: ReadonlyMap<string, ExternalTensor>;
  /** Of the linear layers in `weights`; see `withPrecision`. */
  readonly precision: FormName;
  /** Identifies weights, configuration and tokenizer by every byte of them; adapters carry it. */
  readonly fingerprint: string;
  /** What adapters before formatVersion 2 carry: it saw a sample of the weights, and others may have the same. */
  readonly formerFingerprint?: string;
  readonly parameterCount: number;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  /** Makes and keeps weights in other forms. */
  readonly makeWeights: WeightMaker;
  /** Frees the engine. */
  close(): Promise<void>;
}

/** What a place where backbones are loaded can do. */
export interface BackboneHost {
  /** Formats of weights that it reads; of several in one folder the first is taken. */
  readonly formats: readonly WeightFormat[];
  /** How it hashes weights. */
  readonly hash: HashSource;
  readonly makeWeights: WeightMaker;
}

/** Any place where JavaScript runs: safetensors, all that is made stays in memory. */
export const portableHost: BackboneHost = {
  formats: [safetensorsFormat],
  hash: hashWhole,
  makeWeights: inMemory,
};

/** What a backbone is made of beside its files. */
export interface ParseBackboneOptions {
  /** What runs the graphs. */
  readonly engine: Engine;
  /** The tokenizer of the same files. */
  readonly tokenizer: Tokenizer;
  /** Repository id, or what else adapters shall call it; default the last part of the files' name. */
  readonly id?: string;
  /** Default {@link portableHost}. */
  readonly host?: BackboneHost;
  /** Ends the work with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a backbone of its files, wherever they are: `config.json`, the weights, and the tokenizer's for the fingerprint.
 * Weights stay where they are until a graph runs.
 *
 * @throws BACKBONE_UNSUPPORTED, BACKBONE_INVALID, FILE_INVALID
 * @example
 * const { files, engine, tokenizer } = backbone;
 * const same = await parseBackbone(files, { engine, tokenizer });
 * same.fingerprint === backbone.fingerprint; // true
 */
export async function parseBackbone(files: Files, options: ParseBackboneOptions): Promise<Backbone> {
  const { engine, tokenizer, host = portableHost } = options;
  const { signal } = options;
  signal?.throwIfAborted();
  const parsed = await parseArchitecture(files);
  const checkpoint = await openCheckpoint(files, parsed.architecture, parsed.config, host.formats);
  const id = options.id ?? fileName(files);
  return finishBackbone({ id, files, ...parsed, checkpoint, tokenizer, engine, host }, signal);
}

/** What a backbone is finished from. */
export interface BackboneParts
  extends Pick<Backbone, "id" | "files" | "architecture" | "config" | "tokenizer"> {
  readonly checkpoint: Checkpoint;
  readonly engine: Engine | (() => Engine);
  readonly host: BackboneHost;
}

/**
 * Checks what was read, identifies it, and brings the weights into a form that engines read.
 * @throws BACKBONE_INVALID
 */
export async function finishBackbone(parts: BackboneParts, signal?: AbortSignal): Promise<Backbone> {
  const { id, files, architecture, config, tokenizer, host } = parts;
  const { sources, weights: stored, ...checkpoint } = parts.checkpoint;
  checkShapes(architecture.weights(config), stored, id);
  checkPadding(config, id);
  const fingerprint = await fingerprintOf(files, sources, host.hash, signal);
  const { makeWeights } = host;
  const weights = await usableWeights({ id, fingerprint, weights: stored, makeWeights }, signal);
  const engine = typeof parts.engine === "function" ? parts.engine() : parts.engine;
  return {
    id,
    folder: files.name,
    files,
    architecture,
    config,
    ...checkpoint,
    weights,
    fingerprint,
    precision: "fp32",
    tokenizer: boundedTokenizer(tokenizer, config.vocabSize, `backbone ${id}`),
    engine,
    makeWeights,
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

/** @throws BACKBONE_INVALID if there is no vector for what batches are filled up with */
function checkPadding({ padTokenId, vocabSize }: BackboneConfig, id: string): void {
  if (padTokenId < vocabSize) return;
  throw new PtuningError(
    "BACKBONE_INVALID",
    `backbone ${id}: pad_token_id: expected a token below vocab_size ${vocabSize}, got ${padTokenId}.`,
    { hint: "The config.json is damaged, or was put together from two." },
  );
}

/**
 * Makes sure that the weights are there that the configuration speaks of, before anything is made of its numbers.
 * @throws BACKBONE_INVALID naming the first that is not
 */
function checkShapes(shapes: WeightShapes, weights: Checkpoint["weights"], id: string): void {
  for (const [name, shape] of Object.entries(shapes)) {
    const found = weights.get(name)?.shape;
    if (`${found}` === `${shape}`) continue;
    const got = found === undefined ? "no such weight" : `[${found.join(", ")}]`;
    throw new PtuningError(
      "BACKBONE_INVALID",
      `backbone ${id}: weight "${name}": expected [${shape.join(", ")}], got ${got}.`,
      { hint: "The checkpoint does not fit its config.json, or its download is damaged." },
    );
  }
}

/**
 * The architecture and the configuration of a checkpoint.
 * @throws BACKBONE_UNSUPPORTED, BACKBONE_INVALID
 */
export async function parseArchitecture(files: Files): Promise<Pick<Backbone, "architecture" | "config">> {
  const where = files.where("config.json");
  const json = await fileJson(files, "config.json");
  const architecture = architectureOf(json, where);
  return { architecture, config: architecture.parseConfig(json, where) };
}
