import { catalog, listCachedBackbones, locateBackbone, removeCachedBackbone } from "../../backbones/index.ts";
import { cacheFolder } from "../../files/index.ts";
import { formatBytes, textTable } from "../../report/index.ts";
import { stopping } from "../stop.ts";
import { downloadReporter, print, printJson, progressLine, style } from "../terminal.ts";

export async function listBackbones({ json }: { readonly json?: boolean }): Promise<void> {
  const cached = await listCachedBackbones();
  if (json) {
    printJson({ cacheFolder: cacheFolder(), catalog, cached });
    return;
  }
  const catalogRows = catalog.map(({ name, id, description }) => [
    name,
    cached.some((entry) => entry.id === id) ? "here" : "",
    description,
  ]);
  print(textTable([{ title: "name" }, { title: "cached" }, { title: "what" }], catalogRows));
  const others = cached.filter(({ id }) => !catalog.some((entry) => entry.id === id));
  if (others.length > 0) {
    print();
    print(
      textTable(
        [{ title: "other cached backbones" }],
        others.map(({ id }) => [id]),
      ),
    );
  }
  const bytes = cached.reduce((sum, entry) => sum + entry.bytes, 0);
  print();
  print(
    style(
      "dim",
      `${formatBytes(bytes)} in ${cacheFolder()}. Any folder or hub id of a BERT, RoBERTa or XLM-RoBERTa checkpoint works too.`,
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
