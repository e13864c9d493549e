/** Fine-tuned models: a folder that transformers loads, with our sidecar beside its files. */
import { type Backbone, openCheckpoint, parseArchitecture, readWeight } from "../backbones/portable.ts";
import { bytesOf, type Params } from "../core/index.ts";
import { type Files, fileBytes, fileJson, type PendingTensor, streamSafetensors } from "../files/portable.ts";
import { weightPrefix } from "../model/index.ts";
import { tokenizerFileNames } from "../text/portable.ts";
import type { AdapterFields } from "./adapter.ts";
import { checkpointConfig, checkpointWeights } from "./adapter-files.ts";
import type { FolderContents } from "./contents.ts";
import { peftHead } from "./peft/heads.ts";
import { listedNames, peftNames } from "./peft/names.ts";

/** Where the weights come from that were not trained, and the files beside them. */
export type CheckpointSource = Pick<Backbone, "files" | "architecture" | "weights">;

/** Classes of transformers that have a head of ours, by PEFT's name of its type. */
const headClasses: Readonly<Record<string, string>> = {
  SEQ_CLS: "ForSequenceClassification",
  TOKEN_CLS: "ForTokenClassification",
  QUESTION_ANS: "ForQuestionAnswering",
};

/** Our name of every trained tensor → its name in the checkpoint. */
export function checkpointNames(adapter: AdapterFields, source: CheckpointSource): Record<string, string> {
  const { task, params, frozen = {}, backbone } = adapter;
  const peft = peftHead(task.head);
  const theirs = "reason" in peft ? listedNames({}) : peftNames({ names: listedNames({}) }, peft, backbone);
  const nameOf = (name: string): string => {
    const own = name.startsWith(weightPrefix) ? name.slice(weightPrefix.length) : name;
    const head = theirs.toPeft(own);
    if (head !== undefined) return head.replace(/^base_model\./, "");
    return own === name && !(name in frozen) ? name : source.architecture.checkpointName(own);
  };
  return Object.fromEntries(Object.keys({ ...params, ...frozen }).map((name) => [name, nameOf(name)]));
}

/** Weights, configuration and tokenizer of a folder that transformers loads. */
export async function checkpointContents(
  adapter: AdapterFields,
  source: CheckpointSource,
): Promise<FolderContents> {
  const { params, frozen = {}, backbone } = adapter;
  const { architecture, files } = source;
  const lmHead = architecture.lmHead.weights((await parseArchitecture(files)).config);
  // Where it was not tuned with the rest, it does not fit the rest any more.
  const weights = new Map(
    [...source.weights].filter(([name]) => adapter.task.head.usesLmHead || !(name in lmHead)),
  );
  const trained: Params = { ...params, ...frozen };
  const tensors: Record<string, PendingTensor> = {};
  for (const [name, { shape }] of weights) {
    const bytes = async (): Promise<Uint8Array> =>
      bytesOf((await readWeight(weights, name, backbone.id)).data);
    tensors[architecture.checkpointName(name)] = { dtype: "float32", shape, bytes };
  }
  for (const [name, target] of Object.entries(checkpointNames(adapter, source))) {
    const tensor = trained[name]!;
    tensors[target] = { dtype: "float32", shape: tensor.shape, bytes: () => bytesOf(tensor.data) };
  }
  const config = (await fileJson(files, "config.json")) as Record<string, unknown>;
  const ownConfig = { ...headConfig(adapter, architecture.transformersClasses), ...float32Config };
  const contents: Record<string, FolderContents[string]> = {
    [checkpointWeights]: streamSafetensors(tensors, { format: "pt" }),
    [checkpointConfig]: `${JSON.stringify({ ...config, ...ownConfig }, null, 2)}\n`,
  };
  const there = new Set(await files.list());
  for (const name of tokenizerFileNames.filter((file) => there.has(file)))
    contents[name] = await fileBytes(files, name);
  return contents;
}

/** What `config.json` says of the numbers: all are written in 32 bits, whatever the checkpoint had; older versions' key goes. */
const float32Config = { dtype: "float32", torch_dtype: undefined } as const;

/** The keys of `config.json` that tell transformers which head there is, and its labels. */
function headConfig(
  { task, backbone }: AdapterFields,
  classes: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const peft = peftHead(task.head);
  const name = classes[backbone.modelType];
  const own = "reason" in peft ? undefined : headClasses[peft.taskType];
  const suffix = task.head.usesLmHead ? "ForMaskedLM" : own;
  const { labels } = task.options as { readonly labels?: readonly string[] };
  return {
    ...(name && { architectures: [`${name}${suffix ?? "Model"}`] }),
    ...(labels &&
      !task.head.usesLmHead && {
        id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
        label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
      }),
  };
}

/** A saved checkpoint as the source of another save. */
export async function checkpointSource(files: Files): Promise<CheckpointSource> {
  const { architecture, config } = await parseArchitecture(files);
  const { weights } = await openCheckpoint(files, architecture, config);
  return { files, architecture, weights };
}
