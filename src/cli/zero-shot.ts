import { type Adapter, headOf } from "../adapters/index.ts";
import { type Backbone, loadBackbone } from "../backbones/index.ts";
import { readData, taskOf } from "../config/index.ts";
import { nodeEngine } from "../engine/index.ts";
import { zeroShot } from "../predict/index.ts";
import { readConfig } from "./run-config.ts";
import { stopping } from "./stop.ts";
import { downloadReporter, note } from "./terminal.ts";

/** The untouched backbone of a configuration as an adapter; labels and columns are those of the training data. */
export async function untrainedAdapter(
  path: string,
  {
    backbone: name,
    threads,
    head,
  }: { readonly backbone?: string; readonly threads?: string; readonly head?: string },
): Promise<{ adapter: Adapter; backbone: Backbone }> {
  const config = await readConfig(path, { backbone: name, threads });
  const data = await readData(config);
  const task = taskOf(config, data);
  const engine = nodeEngine(config.engine);
  const { signal } = stopping;
  const backbone = await loadBackbone(config.backbone, { engine, onProgress: downloadReporter(), signal });
  try {
    const { maxLength } = config.training;
    const options = { data, signal, ...(maxLength !== undefined && { maxLength }) };
    const adapter = headOf(await zeroShot(task, backbone, options), head);
    note(`Nothing is trained: ${path} stands for ${backbone.id} as it is.`);
    return { adapter, backbone };
  } catch (error) {
    await backbone.close();
    throw error;
  }
}
