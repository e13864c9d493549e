import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Adapter, backboneDoubts, loadAdapter } from "../adapters/index.ts";
import { type Backbone, loadBackbone } from "../backbones/index.ts";
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
  const backbone = await loadBackbone(name, { engine, ...source, signal: stopping.signal });
  for (const doubt of backboneDoubts(adapter, backbone)) warn(doubt);
  return { adapter, backbone };
}
