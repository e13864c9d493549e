import {
  architectures,
  catalog,
  listCachedBackbones,
  locateBackbone,
  removeCachedBackbone,
} from "../../backbones/index.ts";
import { cacheFolder } from "../../files/index.ts";
import { formatBytes, formatCount, textTable } from "../../report/index.ts";
import { stopping } from "../stop.ts";
import { downloadReporter, print, printJson, progressLine, style } from "../terminal.ts";

export async function listBackbones({ json }: { readonly json?: boolean }): Promise<void> {
  const cached = await listCachedBackbones();
  if (json) {
    printJson({ cacheFolder: cacheFolder(), catalog, cached });
    return;
  }
  const catalogRows = catalog.map(({ name, id, description, parameters, bytes, license }) => [
    name,
    cached.some((entry) => entry.id === id) ? "here" : "",
    formatCount(parameters),
    formatBytes(bytes),
    license,
    description,
  ]);
  const sizes = [
    { title: "parameters", right: true },
    { title: "size", right: true },
  ];
  const columns = [{ title: "name" }, { title: "cached" }, ...sizes, { title: "licence" }, { title: "what" }];
  print(textTable(columns, catalogRows));
  const others = cached.filter(({ id }) => !catalog.some((entry) => entry.id === id));
  if (others.length > 0) {
    print();
    print(
      textTable(
        [{ title: "other cached backbones" }, { title: "size", right: true }],
        others.map(({ id, bytes }) => [id, formatBytes(bytes)]),
      ),
    );
  }
  const bytes = cached.reduce((sum, entry) => sum + entry.bytes, 0);
  const modelTypes = architectures.flatMap((architecture) => architecture.modelTypes).join(", ");
  print();
  print(
    style(
      "dim",
      `${formatBytes(bytes)} in ${cacheFolder()}. Any folder or hub id of a checkpoint of a known architecture works too: ${modelTypes}.`,
    ),
  );
}

export async function addBackbone(name: string): Promise<void> {
  const { folder, source } = await locateBackbone(name, {
    onProgress: downloadReporter(),
    signal: stopping.signal,
  });
  progressLine.clear();
  print(`${name}: ${folder} (${source})`);
}

export async function removeBackbone(name: string): Promise<void> {
  const removed = await removeCachedBackbone(name);
  print(`removed ${removed.id}, ${formatBytes(removed.bytes)}`);
}
