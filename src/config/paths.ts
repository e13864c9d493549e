import { isAbsolute } from "node:path";
import type { AnyRunConfig, DataConfig } from "./config.ts";

/**
 * A configuration with other paths. Names of data sets and backbones on a hub are no paths; a backbone is one where it
 * is absolute or begins with `./` or `../`.
 * @param map gets each path in turn
 */
export async function mapPaths<C extends AnyRunConfig>(
  config: C,
  map: (path: string) => string | Promise<string>,
): Promise<C> {
  const { backbone, start } = config;
  const mapOne = (path: string): string | Promise<string> => (path.startsWith("hf:") ? path : map(path));
  const mapEach = async (paths: string | readonly string[]): Promise<string | readonly string[]> => {
    if (typeof paths === "string") return mapOne(paths);
    const mapped: string[] = [];
    for (const path of paths) mapped.push(await mapOne(path));
    return mapped;
  };
  const mapData = async (data: DataConfig): Promise<DataConfig> => ({
    ...data,
    train: await mapEach(data.train),
    ...(data.dev !== undefined && { dev: await mapEach(data.dev) }),
    ...(data.test !== undefined && { test: await mapEach(data.test) }),
  });
  const mapTasks = async (
    tasks: Readonly<Record<string, { readonly data: DataConfig }>>,
  ): Promise<unknown> => {
    const mapped: [string, unknown][] = [];
    for (const [name, task] of Object.entries(tasks)) {
      mapped.push([name, { ...task, data: await mapData(task.data) }]);
    }
    return Object.fromEntries(mapped);
  };
  return {
    ...config,
    backbone: isAbsolute(backbone) || /^\.\.?[/\\]/.test(backbone) ? await map(backbone) : backbone,
    ...("data" in config ? { data: await mapData(config.data) } : { tasks: await mapTasks(config.tasks) }),
    ...(start && { start: { ...start, from: await map(start.from) } }),
  };
}
