import { type Engine, nodeEngine } from "../engine/index.ts";
import { diskFiles, hashFileOnce } from "../files/index.ts";
import { openTokenizer } from "../text/index.ts";
import { type Backbone, type BackboneHost, finishBackbone, parseArchitecture } from "./backbone.ts";
import { cachedWeights } from "./cached-weights.ts";
import { catalog } from "./catalog.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { hashWhole } from "./fingerprint.ts";
import { type LocateOptions, locateBackbone } from "./locate.ts";
import { weightFormats } from "./weight-formats.ts";

const knownTokenizers = catalog.map(({ tokenizer }) => tokenizer);

/** Where a backbone may come from, and what runs it. */
export interface LoadBackboneOptions extends LocateOptions {
  /** What runs the graphs; default {@link nodeEngine}. */
  readonly engine?: Engine;
}

/** This machine: every format of weights, hashes and weights that are made once in our cache. */
function nodeHost({ env }: Pick<LoadBackboneOptions, "env">): BackboneHost {
  const inEnv = env && { env };
  return {
    formats: weightFormats,
    hash: (source, signal) =>
      source.path === undefined
        ? hashWhole(source, signal)
        : hashFileOnce(source.path, { ...inEnv, ...(signal && { signal }) }),
    makeWeights: (backbone, wanted, signal) => cachedWeights(backbone, wanted, env, signal),
  };
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
  const files = diskFiles(folder);
  const parsed = await parseArchitecture(files);
  const host = nodeHost(options);
  const [checkpoint, tokenizer] = await Promise.all([
    openCheckpoint(files, parsed.architecture, parsed.config, host.formats),
    openTokenizer(files, { trusted: knownTokenizers, ...(options.env && { env: options.env }) }),
  ]);
  const engine = options.engine ?? nodeEngine;
  return finishBackbone({ id, files, ...parsed, checkpoint, tokenizer, engine, host }, signal);
}
