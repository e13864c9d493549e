import { isAbsolute } from "node:path";
import type { RunConfig } from "./config.ts";

/**
 * A configuration with other paths. Names of data sets and backbones on a hub are no paths; a backbone is one where it
 * is absolute or begins with `./` or `../`.
 * @param map gets each path in turn
 */
export async function mapPaths<C extends RunConfig>(
  config: C,
  map: (path: string) => string | Promise<string>,
): Promise<C> {
  const { backbone, data } = config;
  const { train, dev, test } = data;
  const mapOne = (path: string): string | Promise<string> => (path.startsWith("hf:") ? path : map(path));
  const mapData = async (paths: string | readonly string[]): Promise<string | readonly string[]> => {
    if (typeof paths === "string") return mapOne(paths);
    const mapped: string[] = [];
    for (const path of paths) mapped.push(await mapOne(path));
    return mapped;
  };
  return {
    ...config,
    backbone: isAbsolute(backbone) || /^\.\.?[/\\]/.test(backbone) ? await map(backbone) : backbone,
    data: {
      ...data,
      train: await mapData(train),
      ...(dev !== undefined && { dev: await mapData(dev) }),
      ...(test !== undefined && { test: await mapData(test) }),
    },
  };
}
