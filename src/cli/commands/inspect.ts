import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { MultiTaskAdapter, openAdapter } from "../../adapters/index.ts";
import { loadBackbone } from "../../backbones/index.ts";
import { escapeControls, messageOf, PtuningError, pathWord, shellCommand } from "../../core/index.ts";
import {
  type ExampleKind,
  exampleKinds,
  guessReading,
  type KindDescription,
  openExamples,
  type ReadOptions,
} from "../../data/index.ts";
import { readJson } from "../../files/index.ts";
import { inventory } from "../../model/index.ts";
import { formatBytes, formatCount, textTable } from "../../report/index.ts";
import { adapterFolder } from "../adapter-folder.ts";
import { print, printJson } from "../terminal.ts";

type Facts = Readonly<Record<string, unknown>>;

export async function inspect(thing: string, { json }: { readonly json?: boolean }): Promise<void> {
  const facts = await factsOf(thing);
  if (json) {
    printJson(facts);
    return;
  }
  const rows = Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => [key, escapeControls(typeof value === "string" ? value : JSON.stringify(value))]);
  print(textTable([{ title: "what" }, { title: "value" }], rows));
}

async function factsOf(thing: string): Promise<Facts> {
  const status = await stat(thing).catch(() => undefined);
  if (status?.isFile()) return dataFacts(thing);
  const files = status?.isDirectory() ? await readdir(thing) : [];
  if (files.includes("adapter_config.json") || files.includes("ptuning.json")) return adapterFacts(thing);
  if (files.includes("events.jsonl")) return runFacts(thing, files);
  if (status !== undefined && !files.includes("config.json")) {
    throw new PtuningError(
      "DATA_NOT_FOUND",
      `${thing}: expected an adapter, a run, a backbone or a data file.`,
    );
  }
  return backboneFacts(thing);
}

async function adapterFacts(folder: string): Promise<Facts> {
  const adapter = await openAdapter(folder);
  if (adapter instanceof MultiTaskAdapter) return multiTaskFacts(adapter);
  const { task, method, params, backbone, maxLength, provenance, source } = adapter;
  const { trainable, trainableTotal } = inventory(params, 0);
  const { peft_type: peftType, not_for_peft: refusal } = source
    ? { peft_type: "", not_for_peft: "this is a checkpoint, transformers loads it" }
    : ((await readJson(join(folder, "adapter_config.json"))) as Record<string, string>);
  return {
    kind: "adapter",
    task: task.type,
    ...task.options,
    method: method.name,
    ...method.options,
    parameters: formatCount(trainableTotal),
    parts: trainable,
    backbone: backbone.id,
    fingerprint: backbone.fingerprint,
    maxLength,
    metrics: provenance.metrics,
    peft: refusal ? `no: ${refusal}` : `yes: ${peftType}`,
    created: provenance.createdAt,
    versions: provenance.versions,
  };
}

function multiTaskFacts({ method, shared, heads, backbone, maxLength }: MultiTaskAdapter): Facts {
  const { trainable, trainableTotal } = inventory(shared, 0);
  return {
    kind: "multi-task adapter",
    method: method.name,
    ...method.options,
    shared: formatCount(trainableTotal),
    parts: trainable,
    heads: Object.fromEntries(
      Object.entries(heads).map(([name, { task, params, provenance }]) => [
        name,
        {
          task: task.type,
          ...task.options,
          parameters: formatCount(inventory(params, 0).trainableTotal),
          metrics: provenance.metrics,
        },
      ]),
    ),
    backbone: backbone.id,
    fingerprint: backbone.fingerprint,
    maxLength,
    peft: "no: one prompt with several heads; each head split off is an adapter of its own",
  };
}

async function runFacts(folder: string, files: readonly string[]): Promise<Facts> {
  if (!files.includes("result.json")) {
    return {
      kind: "run",
      state: "unfinished",
      resume: shellCommand("ptuning", "train", "--resume", pathWord(folder)),
    };
  }
  const result = (await readJson(join(folder, "result.json"))) as object;
  return { kind: "run", state: "finished", ...result, ...(await adapterFacts(await adapterFolder(folder))) };
}

async function backboneFacts(name: string): Promise<Facts> {
  const backbone = await loadBackbone(name, { offline: true });
  const { id, folder, fingerprint, parameterCount, config } = backbone;
  const bytes = [...backbone.weights.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  await backbone.close();
  return {
    kind: "backbone",
    id,
    folder,
    parameters: formatCount(parameterCount),
    weights: formatBytes(bytes),
    fingerprint,
    ...config,
  };
}

/** More labels than these are not counted one by one. */
const maxLabels = 100_000;

/** All examples of a file and all different labels in them. */
async function countAll(
  path: string,
  options: ReadOptions & { readonly kind: ExampleKind },
): Promise<{ rows: number; labels: string[]; warnings: readonly string[] }> {
  const { examples, warnings } = await openExamples(path, options);
  const { labels: labelsOf } = exampleKinds[options.kind] as KindDescription<unknown>;
  const labels = new Set<string>();
  let rows = 0;
  for await (const example of examples) {
    rows++;
    for (const label of labelsOf(example)) if (labels.size < maxLabels) labels.add(label);
  }
  return { rows, labels: [...labels].sort(), warnings: warnings() };
}

async function dataFacts(path: string): Promise<Facts> {
  const { size } = await stat(path);
  try {
    const { labels: _, kind, options, ...guess } = await guessReading(path);
    const { rows, labels, warnings } = await countAll(guess.path, { ...options, kind });
    return {
      kind: "data",
      size: formatBytes(size),
      examples: kind,
      ...guess,
      ...options,
      ...(options.labels !== undefined && { labelColumns: options.labels }),
      rows,
      labelCount: labels.length,
      labels: labels.slice(0, 20),
      ...(warnings.length > 0 && { warnings }),
    };
  } catch (error) {
    return { kind: "data", size: formatBytes(size), problem: messageOf(error) };
  }
}
