import { join } from "node:path";
import { type ExternalTensor, PtuningError } from "../core/index.ts";
import { type Engine, nodeEngine } from "../engine/index.ts";
import { readJson } from "../files/index.ts";
import type { FormName } from "../nn/index.ts";
import { openTokenizer, type Tokenizer } from "../text/index.ts";
import type { Architecture, BackboneConfig, WeightShapes } from "./architecture.ts";
import { catalog } from "./catalog.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { usableWeights } from "./converted.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { type LocateOptions, locateBackbone } from "./locate.ts";
import { architectureOf } from "./registry.ts";

/** A frozen transformer, ready to be adapted. */
export interface Backbone extends AsyncDisposable {
  /** Repository id, or a folder's base name. */
  readonly id: string;
  /** Where its files lie. */
  readonly folder: string;
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
  /** Frees the engine. */
  close(): Promise<void>;
}

const knownTokenizers = catalog.map(({ tokenizer }) => tokenizer);

/** Where a backbone may come from, and what runs it. */
export interface LoadBackboneOptions extends LocateOptions {
  /** What runs the graphs; default {@link nodeEngine}. */
  readonly engine?: Engine;
}

/**
 * Loads a backbone by catalog name (`minilm`), hub id (`owner/name`) or folder. Weights stay in their file
 * until a graph runs; those that the runtime cannot read there are copied into our cache once.
 *
 * @throws BACKBONE_NOT_FOUND, BACKBONE_UNSUPPORTED, BACKBONE_INVALID, DOWNLOAD_FAILED
 * @example
 * const backbone = await loadBackbone("minilm");
 * console.log(backbone.config.hiddenSize); // 384
 */
export async function loadBackbone(name: string, options: LoadBackboneOptions = {}): Promise<Backbone> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { id, folder } = await locateBackbone(name, options);
  signal?.throwIfAborted();
  const { architecture, config } = await parseArchitecture(folder);
  const [{ files, weights: stored, ...checkpoint }, tokenizer] = await Promise.all([
    openCheckpoint(folder, architecture, config),
    openTokenizer(folder, { trusted: knownTokenizers, ...(options.env && { env: options.env }) }),
  ]);
  checkShapes(architecture.weights(config), stored, id);
  const fingerprint = await fingerprintOf(folder, files, {
    ...(options.env && { env: options.env }),
    ...(signal && { signal }),
  });
  const weights = await usableWeights({ id, fingerprint, weights: stored }, options.env, signal);
  const engine = options.engine ?? nodeEngine();
  return {
    id,
    folder,
    architecture,
    config,
    ...checkpoint,
    weights,
    fingerprint,
    precision: "fp32",
    tokenizer,
    engine,
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
  };
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
export async function parseArchitecture(folder: string): Promise<Pick<Backbone, "architecture" | "config">> {
  const path = join(folder, "config.json");
  const json = await readJson(path);
  const architecture = architectureOf(json, path);
  return { architecture, config: architecture.parseConfig(json, path) };
}
