import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Adapter, loadAdapter } from "../adapters/index.ts";
import { type Backbone, loadBackbone } from "../backbones/index.ts";
import { nodeEngine } from "../engine/index.ts";
import { downloadReporter } from "./terminal.ts";

/** The adapter folder at a path: the path itself, or the `adapter` folder of a finished run. */
export async function adapterFolder(path: string): Promise<string> {
  const inside = join(path, "adapter");
  const isRun = await stat(join(inside, "adapter_config.json")).then(
    () => true,
    () => false,
  );
  return isRun ? inside : path;
}

/** Loads an adapter and the backbone that it names, unless the user names another place for it. */
export async function loadAdapterAndBackbone(
  path: string,
  options: { readonly backbone?: string; readonly threads?: string },
): Promise<{ adapter: Adapter; backbone: Backbone }> {
  const adapter = await loadAdapter(await adapterFolder(path));
  const engine = nodeEngine(options.threads ? { threads: Number(options.threads) } : {});
  // An adapter never causes a download: its author chose that name, not the user.
  const source = options.backbone ? { onProgress: downloadReporter() } : { offline: true };
  const backbone = await loadBackbone(options.backbone ?? adapter.backbone.id, { engine, ...source });
  return { adapter, backbone };
}
