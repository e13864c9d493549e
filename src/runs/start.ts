import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openAdapter } from "../adapters/index.ts";
import { methodOf, type SharedConfig } from "../config/index.ts";
import { settleFolder } from "../files/index.ts";
import { readState, type Start } from "../train/index.ts";
import { names } from "./names.ts";
import { isReplaced } from "./replace.ts";

/**
 * Reads what a run starts from. Of a run folder that is the adapter; the training state where there is no adapter yet,
 * or where the method wants the network that the adapter no longer has.
 * @throws ADAPTER_INVALID, RUN_INVALID
 */
export async function readStart(config: SharedConfig): Promise<Start | undefined> {
  if (config.start === undefined) return undefined;
  const { from, ...rest } = config.start;
  if (from.endsWith(".safetensors")) return { from: await readState(from), ...rest };
  const [state, adapter] = [join(from, names.state), join(from, names.adapter)];
  const isOld = await isReplaced(from);
  const [hasState, hasAdapter] = isOld
    ? [false, false]
    : [await isThere(state), await isThere(await settleFolder(adapter))];
  if (hasState && (methodOf(config).folding || !hasAdapter)) return { from: await readState(state), ...rest };
  return { from: await openAdapter(hasAdapter ? adapter : from), ...rest };
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
