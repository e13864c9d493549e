import { stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { architectures, peftModulesOf } from "../backbones/index.ts";
import { messageOf, type Params, PtuningError, type Tensor } from "../core/index.ts";
import { readJson, readSafetensors } from "../files/index.ts";
import { type Method, methodFrom, peftMethods } from "../methods/index.ts";
import { peftTasks, type Task, taskFrom } from "../tasks/index.ts";
import { Adapter, type AdapterFields, type BackboneReference } from "./adapter.ts";
import { checkpointSource, checkpointWeights } from "./checkpoint.ts";
import { MultiTaskAdapter } from "./multi-task.ts";
import { formatVersion, ownPeftType, peftConfigFile, peftNames, sidecarFile, weightsFile } from "./save.ts";

const named = z.object({ options: z.record(z.string(), z.unknown()) });
const provenance = z.object({
  createdAt: z.string(),
  versions: z.record(z.string(), z.string()),
  data: z
    .object({
      fingerprint: z.string(),
      train: z.int(),
      dev: z.int(),
      table: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
  training: z.record(z.string(), z.unknown()).optional(),
  metrics: z.record(z.string(), z.record(z.string(), z.number())).optional(),
});
const head = z.object({
  task: named.extend({ type: z.string() }),
  frozen: z.array(z.string()).default([]),
  provenance,
});
const shared = z.object({
  method: named.extend({ name: z.string() }),
  backbone: z.object({
    id: z.string(),
    fingerprint: z.string(),
    modelType: z.string(),
    hiddenSize: z.int(),
    numLayers: z.int(),
    numHeads: z.int(),
  }),
  maxLength: z.int().positive(),
});
const sidecarSchema = shared.extend({
  ...head.shape,
  /** Of a checkpoint: our tensor name → the name in its file. */
  tensors: z.record(z.string(), z.string()).optional(),
});
const multiTaskSchema = shared.extend({ heads: z.record(z.string(), head) });

const peftSchema = z.object({
  peft_type: z.string(),
  task_type: z.string().nullish(),
  base_model_name_or_path: z.string().nullish(),
  num_virtual_tokens: z.int().positive(),
  num_layers: z.int().positive(),
  num_attention_heads: z.int().positive(),
  token_dim: z.int().positive(),
});

/** What an adapter folder does not say of itself. */
export interface LoadAdapterOptions {
  /**
   * Label names for an adapter that PEFT saved: its files hold none. Default `LABEL_0`, `LABEL_1`, … for whole texts;
   * the tags of words must be given.
   */
  readonly labels?: readonly string[];
  /** Which head, where the folder holds several. */
  readonly head?: string;
}

/** What an adapter folder holds: one task, or several on one prompt. */
export type SavedAdapter = Adapter | MultiTaskAdapter;

/**
 * Reads an adapter folder of ours, or one that PEFT saved (a prompt with a head for texts, words or answers).
 * Nothing is downloaded and no other path is opened.
 *
 * @throws ADAPTER_INVALID naming the file and the field; OPTION_INVALID where the folder holds several heads and none
 *   of them is named
 */
export async function loadAdapter(folder: string, options: LoadAdapterOptions = {}): Promise<Adapter> {
  return headOf(await openAdapter(folder, options), options.head);
}

/**
 * The adapter of one task.
 * @param head its name; none where there is only one
 * @throws OPTION_INVALID listing the heads if it has none of this name
 */
export function headOf(adapter: SavedAdapter, head: string | undefined): Adapter {
  if (adapter instanceof MultiTaskAdapter) return adapter.head(head);
  if (!head) return adapter;
  throw new PtuningError("OPTION_INVALID", `head: expected none, got "${head}".`, {
    hint: "This adapter is for one task and has one head.",
  });
}

/**
 * Reads an adapter folder as {@link loadAdapter} does, of one task or of several.
 * @throws ADAPTER_INVALID naming the file and the field
 */
export async function openAdapter(
  folder: string,
  options: Pick<LoadAdapterOptions, "labels"> = {},
): Promise<SavedAdapter> {
  const isFolder = await stat(folder).then(
    (status) => status.isDirectory(),
    () => false,
  );
  if (!isFolder) throw invalid(folder, "expected an adapter folder, got no such folder");
  const peftPath = join(folder, peftConfigFile);
  const sidecarPath = join(folder, sidecarFile);
  const has = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );
  const [hasSidecar, hasPeft] = [await has(sidecarPath), await has(peftPath)];
  const isCheckpoint = hasSidecar && !hasPeft && (await has(join(folder, checkpointWeights)));
  const peftJson = isCheckpoint ? undefined : await readJson(peftPath).catch(asAdapterError(peftPath));
  const weightsPath = join(folder, isCheckpoint ? checkpointWeights : weightsFile);
  const { tensors } = await readSafetensors(weightsPath).catch(asAdapterError(weightsPath));
  if (!hasSidecar) return fromPeft(peftPath, peftJson, weightsPath, tensors, options);

  const json = await readJson(sidecarPath).catch(asAdapterError(sidecarPath));
  const version = (json as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === "number" && version > formatVersion) {
    throw new PtuningError(
      "ADAPTER_INVALID",
      `${sidecarPath}: formatVersion: expected at most ${formatVersion}, got ${version}.`,
      { hint: "This adapter was saved by a newer ptuning: update the package." },
    );
  }
  if (json !== null && typeof json === "object" && "heads" in json) {
    return fromSeveral(parse(multiTaskSchema, json, sidecarPath), sidecarPath, tensors, weightsPath);
  }
  const sidecar = parse(sidecarSchema, json, sidecarPath);
  let [task, method]: [Task, Method] = [undefined as never, undefined as never];
  try {
    task = taskFrom(sidecar.task.type, sidecar.task.options);
    method = methodFrom(sidecar.method.name, sidecar.method.options);
  } catch (cause) {
    throw invalid(sidecarPath, messageOf(cause), cause);
  }
  const { backbone, maxLength, provenance } = sidecar;
  if (
    isCheckpoint !== (method.savedAs === "checkpoint") ||
    isCheckpoint !== (sidecar.tensors !== undefined)
  ) {
    throw invalid(sidecarPath, `expected the files of an adapter of ${method.name}, got others`);
  }
  const all = isCheckpoint
    ? picked(tensors, sidecar.tensors!, weightsPath)
    : renamed(tensors, ourNames(task, method, backbone), weightsPath);
  return new Adapter({
    task,
    method,
    ...divided(all, (name) => sidecar.frozen.includes(name)),
    // Every trained weight is here: this folder is a backbone for itself, beside the one that it came from.
    backbone: isCheckpoint ? { ...backbone, fingerprint: "" } : backbone,
    maxLength,
    provenance: provenance as AdapterFields["provenance"],
    ...(isCheckpoint && { source: await checkpointSource(folder) }),
  });
}

function fromSeveral(
  { method, heads, backbone, maxLength }: z.output<typeof multiTaskSchema>,
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  weightsPath: string,
): MultiTaskAdapter {
  const all = Object.entries(renamed(tensors, new Map(), weightsPath));
  const foreign = all.find(([name]) => name.includes("/") && !Object.hasOwn(heads, name.split("/")[0]!));
  if (foreign) throw invalid(weightsPath, `tensor "${foreign[0]}": expected a head of ${sidecarFile}`);
  const ownOf = (head: string): Params =>
    Object.fromEntries(
      all.flatMap(([name, tensor]) =>
        name.startsWith(`${head}/`) ? [[name.slice(head.length + 1), tensor]] : [],
      ),
    );
  try {
    return new MultiTaskAdapter({
      method: methodFrom(method.name, method.options),
      shared: Object.fromEntries(all.filter(([name]) => !name.includes("/"))),
      heads: Object.fromEntries(
        Object.entries(heads).map(([name, { task, frozen, provenance }]) => [
          name,
          {
            task: taskFrom(task.type, task.options),
            ...divided(ownOf(name), (tensor) => frozen.includes(tensor)),
            provenance: provenance as AdapterFields["provenance"],
          },
        ]),
      ),
      backbone,
      maxLength,
    });
  } catch (cause) {
    throw invalid(path, messageOf(cause), cause);
  }
}

/** Tensors of a checkpoint under our names. */
function picked(
  tensors: Readonly<Record<string, Tensor>>,
  names: Readonly<Record<string, string>>,
  where: string,
): Params {
  return Object.fromEntries(
    Object.entries(names).map(([ours, name]) => {
      const tensor = tensors[name];
      if (tensor?.dtype !== "float32")
        throw invalid(where, `tensor "${name}": expected F32, got ${tensor?.dtype}`);
      return [ours, tensor as Tensor<"float32">];
    }),
  );
}

/** PEFT's tensor names → ours; none where the adapter is not for PEFT. */
function ourNames(
  task: Task,
  method: Method,
  backbone: Omit<BackboneReference, "id" | "fingerprint">,
): Names {
  const [theirs, head] = [method.peft(backbone), task.head.peft];
  if ("reason" in theirs || "reason" in head) return new Map();
  return new Map([...peftNames(theirs, head, backbone)].map(([ours, name]) => [name, ours]));
}

type Names = ReadonlyMap<string, string>;

/** Tells what was trained from what was frozen. */
function divided(tensors: Params, isFrozen: (name: string) => boolean): { params: Params; frozen: Params } {
  const part = (wanted: boolean): Params =>
    Object.fromEntries(Object.entries(tensors).filter(([name]) => isFrozen(name) === wanted));
  return { params: part(false), frozen: part(true) };
}

function renamed(tensors: Readonly<Record<string, Tensor>>, names: Names, where: string): Params {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      if (tensor.dtype !== "float32")
        throw invalid(where, `tensor "${name}": expected F32, got ${tensor.dtype}`);
      return [names.get(name) ?? name, tensor as Tensor<"float32">];
    }),
  );
}

function fromPeft(
  path: string,
  json: unknown,
  weightsPath: string,
  tensors: Readonly<Record<string, Tensor>>,
  { labels }: LoadAdapterOptions,
): Adapter {
  const type = (json as { peft_type?: unknown } | null)?.peft_type;
  if (type === ownPeftType) throw invalid(path, `this adapter needs its ${sidecarFile}, which is missing`);
  const make = Object.hasOwn(peftMethods, String(type)) ? peftMethods[String(type)] : undefined;
  if (make === undefined) {
    const known = Object.keys(peftMethods).join(", ");
    throw invalid(path, `peft_type: expected one of ${known}, got ${JSON.stringify(type)}`);
  }
  const config = parse(peftSchema, json, path);
  const taskType = config.task_type ?? "";
  const peftTask = Object.hasOwn(peftTasks, taskType) ? peftTasks[taskType] : undefined;
  if (peftTask === undefined) {
    const known = Object.keys(peftTasks).join(", ");
    throw invalid(path, `task_type: expected one of ${known}, got ${JSON.stringify(config.task_type)}`);
  }
  const method = make(config.num_virtual_tokens);
  // PEFT's files do not name the architecture: the classifier's tensors tell, where architectures differ in them.
  const { module } = peftTask;
  const nameOf = ({ peftModules }: (typeof architectures)[number]): string =>
    `${peftModules[taskType]?.[module] ?? module}.weight`;
  const fitting = architectures.filter((architecture) => nameOf(architecture) in tensors);
  if (fitting.length === 0) {
    const expected = [...new Set(architectures.map(nameOf))].join('" or "');
    throw invalid(weightsPath, `expected a tensor "${expected}"`);
  }
  const modelType = fitting.length === 1 ? fitting[0]!.modelTypes[0]! : "";
  const task = peftTask.create(tensors[nameOf(fitting[0]!)]!.shape[0]!, labels);
  const { token_dim: hiddenSize, num_layers: numLayers, num_attention_heads: numHeads } = config;
  const facts = { modelType, hiddenSize, numLayers, numHeads };
  const theirs = method.peft(facts);
  const taskTypes = "reason" in theirs ? undefined : theirs.taskTypes;
  if (taskTypes?.includes(taskType) === false) {
    throw invalid(path, `task_type: expected ${taskTypes.join(" or ")} with ${type}, got ${taskType}`);
  }
  const all = renamed(tensors, ourNames(task, method, facts), weightsPath);
  const moved = Object.keys(peftModulesOf(modelType, taskType));
  return new Adapter({
    task,
    method,
    ...divided(all, (name) => moved.some((module) => name.startsWith(`${module}.`))),
    // PEFT's files do not identify the weights: the shapes are all that can be checked.
    backbone: { id: config.base_model_name_or_path ?? "", fingerprint: "", ...facts },
    maxLength: task.defaults?.maxLength ?? 128,
    provenance: { createdAt: "", versions: {} },
  });
}

function parse<T extends z.ZodType>(schema: T, json: unknown, path: string): z.output<T> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw invalid(path, `${issue.path.join(".")}: ${issue.message}`);
}

function invalid(path: string, message: string, cause?: unknown): PtuningError {
  return new PtuningError("ADAPTER_INVALID", `${path}: ${message.replace(/\.$/, "")}.`, {
    hint: "The folder is not an adapter, or it is damaged: save or copy it again.",
    cause,
  });
}

function asAdapterError(path: string): (cause: unknown) => never {
  return (cause) => {
    if (!(cause instanceof PtuningError)) throw cause;
    throw invalid(path, cause.message.replace(`${path}: `, ""), cause);
  };
}
