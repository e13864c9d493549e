import { mergeAdapter } from "../../adapters/index.ts";
import { loadAdapterAndBackbone } from "../adapter-folder.ts";
import { print, printJson } from "../terminal.ts";

interface MergeFlags {
  readonly output: string;
  readonly head?: string;
  readonly backbone?: string;
  readonly json?: boolean;
}

/** Writes what an adapter computes as a checkpoint of its own. */
export async function mergeCommand(path: string, flags: MergeFlags): Promise<void> {
  const { output } = flags;
  const { adapter, backbone } = await loadAdapterAndBackbone(path, flags);
  try {
    const merged = await mergeAdapter(adapter, backbone);
    await merged.save(output);
    if (flags.json) printJson({ checkpoint: output, method: adapter.method.name, backbone: backbone.id });
    else print(`Merged ${adapter.method.name} into ${backbone.id}: ${output}`);
  } finally {
    await backbone.close();
  }
}
