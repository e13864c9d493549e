import { stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { type Adapter, backboneDoubts, loadAdapter } from "../adapters/index.ts";
import { type Backbone, loadBackbone } from "../backbones/index.ts";
import { PtuningError } from "../core/index.ts";
import { nodeEngine } from "../engine/index.ts";
import { settleFolder } from "../files/index.ts";
import { threadsOf } from "./numbers.ts";
import { stopping } from "./stop.ts";
import { downloadReporter, warn } from "./terminal.ts";

/** The adapter folder at a path: the path itself, or the `adapter` folder of a finished run. */
export async function adapterFolder(path: string): Promise<string> {
  const inside = await settleFolder(join(path, "adapter"));
  const isRun = await stat(inside).then(
    (status) => status.isDirectory(),
    () => false,
  );
  return isRun ? inside : path;
}

/** The folder that a run was given as its backbone; undefined where it had a name. */
async function backboneFolder(run: string): Promise<string | undefined> {
  const { readRunConfig } = await import("../runs/index.ts");
  const { backbone } = await readRunConfig(run);
  return isAbsolute(backbone) ? backbone : undefined;
}

/**
 * Loads an adapter and the backbone that it names, unless the user names another place for it. A configuration stands
 * for its backbone without any training.
 */
export async function loadAdapterAndBackbone(
  path: string,
  options: { readonly backbone?: string; readonly threads?: string; readonly head?: string },
): Promise<{ adapter: Adapter; backbone: Backbone }> {
  // What reads configurations, and trains, takes longer to load than a prediction takes.
  const isFolder = await stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );
  if (!isFolder && (await (await import("../config/index.ts")).isConfigFile(path))) {
    return (await import("./zero-shot.ts")).untrainedAdapter(path, options);
  }
  const folder = await adapterFolder(path);
  const adapter = await loadAdapter(folder, options.head === undefined ? {} : { head: options.head });
  const engine = nodeEngine(threadsOf(options.threads));
  // An adapter never causes a download: its author chose that name, not the user.
  const source = options.backbone ? { onProgress: downloadReporter() } : { offline: true };
  // A checkpoint is a backbone for itself.
  const name = options.backbone ?? (adapter.source ? folder : adapter.backbone.id);
  const load = (place: string): Promise<Backbone> =>
    loadBackbone(place, { engine, ...source, signal: stopping.signal });
  const backbone = await load(name).catch(async (error: unknown) => {
    const isUnknown = error instanceof PtuningError && error.code === "BACKBONE_NOT_FOUND";
    // The adapter knows the name of its backbone; where a folder of it was, its run knows.
    const place = options.backbone || !isUnknown || folder === path ? undefined : await backboneFolder(path);
    if (place === undefined) throw error;
    return load(place);
  });
  for (const doubt of backboneDoubts(adapter, backbone)) warn(doubt);
  return { adapter, backbone };
}
