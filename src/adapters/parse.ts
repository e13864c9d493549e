import { architectures, peftModulesOf } from "../backbones/portable.ts";
import { messageOf, type Params, PtuningError, shown, type Tensor, toFloat32 } from "../core/index.ts";
import { type Files, fileJson, fileTensors } from "../files/portable.ts";
import { type Method, methodFrom } from "../methods/index.ts";
import { type Task, taskFrom } from "../tasks/index.ts";
import { Adapter, type AdapterFields, type BackboneReference } from "./adapter.ts";
import { checkpointWeights, peftConfigFile, sidecarFile, weightsFile } from "./adapter-files.ts";
import { checkpointSource } from "./checkpoint.ts";
import { MultiTaskAdapter } from "./multi-task.ts";
import { peftHead } from "./peft/heads.ts";
import type { PeftAdapter, PeftReader } from "./peft/mapping.ts";
import { peftMethod, peftReaders } from "./peft/methods.ts";
import { listedNames, ownPeftType, type PeftNames, peftNames, placed } from "./peft/names.ts";
import { peftTasks } from "./peft/tasks.ts";
import { formatVersion } from "./save.ts";
import {
  invalid,
  isPath,
  type MultiTaskSidecar,
  multiTaskSchema,
  parseFile,
  peftSchema,
  type Sidecar,
  sidecarSchema,
} from "./sidecar.ts";

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
 * Reads the files of an adapter of ours, or of one that PEFT saved (a prompt with a head for texts, words or answers),
 * wherever they are.
 *
 * @throws ADAPTER_INVALID naming the file and the field; OPTION_INVALID where they hold several heads and none of them is
 *   named
 * @example
 * const saved = await loadAdapter("./adapters/rte");
 * const again = await parseAdapter(memoryFiles("rte", await saved.files()));
 * again.task.type; // "text-classification"
 */
export async function parseAdapter(files: Files, options: LoadAdapterOptions = {}): Promise<Adapter> {
  return headOf(await parseSavedAdapter(files, options), options.head);
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
 * Reads the files of an adapter as {@link parseAdapter} does, of one task or of several.
 * @throws ADAPTER_INVALID naming the file and the field
 */
export async function parseSavedAdapter(
  files: Files,
  options: Pick<LoadAdapterOptions, "labels"> = {},
): Promise<SavedAdapter> {
  const peftPath = files.where(peftConfigFile);
  const sidecarPath = files.where(sidecarFile);
  // What is there and cannot be read is there.
  const has = (file: string): Promise<boolean> =>
    files.find(file).then(
      (found) => found !== undefined,
      () => true,
    );
  const [hasSidecar, hasPeft] = [await has(sidecarFile), await has(peftConfigFile)];
  const isCheckpoint = hasSidecar && !hasPeft && (await has(checkpointWeights));
  const peftJson = isCheckpoint
    ? undefined
    : await fileJson(files, peftConfigFile).catch(asAdapterError(peftPath));
  const weightsName = isCheckpoint ? checkpointWeights : weightsFile;
  const weightsPath = files.where(weightsName);
  const { tensors } = await fileTensors(files, weightsName).catch(asAdapterError(weightsPath));
  if (!hasSidecar) return fromPeft(peftPath, peftJson, weightsPath, tensors, options);

  const json = await fileJson(files, sidecarFile).catch(asAdapterError(sidecarPath));
  const version = (json as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === "number" && version > formatVersion) {
    throw new PtuningError(
      "ADAPTER_INVALID",
      `${sidecarPath}: formatVersion: expected at most ${formatVersion}, got ${version}.`,
      { hint: "This adapter was saved by a newer ptuning: update the package." },
    );
  }
  if (json !== null && typeof json === "object" && "heads" in json) {
    return fromSeveral(parseFile(multiTaskSchema, json, sidecarPath), sidecarPath, tensors, weightsPath);
  }
  const sidecar = parseFile(sidecarSchema, json, sidecarPath);
  let [task, method]: [Task, Method] = [undefined as never, undefined as never];
  try {
    task = taskFrom(sidecar.task.type, sidecar.task.options);
    method = methodFrom(sidecar.method.name, sidecar.method.options);
  } catch (cause) {
    throw invalid(sidecarPath, messageOf(cause), cause);
  }
  const { backbone, maxLength, provenance } = sidecar;
  const known = readReference(backbone);
  if (
    isCheckpoint !== (method.savedAs === "checkpoint") ||
    isCheckpoint !== (sidecar.tensors !== undefined)
  ) {
    throw invalid(sidecarPath, `expected the files of an adapter of ${method.name}, got others`);
  }
  const all = isCheckpoint
    ? picked(tensors, sidecar.tensors!, weightsPath)
    : renamed(tensors, ourNames(task, method, known), weightsPath);
  return new Adapter({
    task,
    method,
    ...divided(all, (name) => sidecar.frozen.includes(name)),
    // Every trained weight is here: this folder is a backbone for itself, beside the one that it came from.
    backbone: isCheckpoint ? { ...known, fingerprint: "" } : known,
    maxLength,
    provenance: provenance as AdapterFields["provenance"],
    ...(isCheckpoint && { source: await checkpointSource(files) }),
  });
}

function fromSeveral(
  { method, heads, backbone, maxLength }: MultiTaskSidecar,
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  weightsPath: string,
): MultiTaskAdapter {
  const all = Object.entries(renamed(tensors, listedNames({}), weightsPath));
  const foreign = all.find(([name]) => name.includes("/") && !Object.hasOwn(heads, name.split("/")[0]!));
  if (foreign) throw invalid(weightsPath, `tensor ${shown(foreign[0])}: expected a head of ${sidecarFile}`);
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
      backbone: readReference(backbone),
      maxLength,
    });
  } catch (cause) {
    throw invalid(path, messageOf(cause), cause);
  }
}

/** The backbone as files have it, with nothing for what nobody knows. */
function readReference(backbone: Sidecar["backbone"]): BackboneReference {
  const { fingerprint, numLayers, numHeads } = backbone;
  return { ...backbone, fingerprint: fingerprint ?? "", numLayers: numLayers ?? 0, numHeads: numHeads ?? 0 };
}

/** Tensors of a checkpoint under our names. */
function picked(
  tensors: Readonly<Record<string, Tensor>>,
  names: Readonly<Record<string, string>>,
  where: string,
): Params {
  return Object.fromEntries(
    Object.entries(names).map(([ours, name]) => {
      if (!Object.hasOwn(tensors, name)) throw invalid(where, `expected a tensor ${shown(name)}, got none`);
      return [ours, widened(name, tensors[name]!, where)];
    }),
  );
}

/** PEFT's tensor names → ours; none where the adapter is not for PEFT. */
function ourNames(
  task: Task,
  method: Method,
  backbone: Omit<BackboneReference, "id" | "fingerprint">,
): PeftNames {
  const [theirs, head] = [peftMethod(method, backbone), peftHead(task.head)];
  return "reason" in theirs || "reason" in head ? listedNames({}) : peftNames(theirs, head, backbone);
}

/** Tells what was trained from what was frozen. */
function divided(tensors: Params, isFrozen: (name: string) => boolean): { params: Params; frozen: Params } {
  const part = (wanted: boolean): Params =>
    Object.fromEntries(Object.entries(tensors).filter(([name]) => isFrozen(name) === wanted));
  return { params: part(false), frozen: part(true) };
}

function renamed(tensors: Readonly<Record<string, Tensor>>, names: PeftNames, where: string): Params {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      names.fromPeft(name) ?? name,
      widened(name, tensor, where),
    ]),
  );
}

/** Numbers as float32; PEFT saves them as the backbone was loaded, which may be with 16 bits. */
function widened(name: string, tensor: Tensor, where: string): Tensor<"float32"> {
  if (!["float32", "float16", "bfloat16"].includes(tensor.dtype))
    throw invalid(where, `tensor ${shown(name)}: expected F32, F16 or BF16, got ${tensor.dtype}`);
  const wide = toFloat32(tensor);
  const wrong = wide.data.findIndex((number) => !Number.isFinite(number));
  if (wrong < 0) return wide;
  throw invalid(
    where,
    `tensor ${shown(name)}: expected finite numbers, got ${wide.data[wrong]} at place ${wrong}`,
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
  const reader = typeof type === "string" && Object.hasOwn(peftReaders, type) ? peftReaders[type] : undefined;
  if (reader === undefined) {
    const known = Object.keys(peftReaders).join(", ");
    throw invalid(path, `peft_type: expected one of ${known}, got ${shown(type)}`);
  }
  const config = parseFile(peftSchema, json, path);
  const own = parseFile(reader.config, json, path);
  const taskType = config.task_type ?? "";
  const peftTask = Object.hasOwn(peftTasks, taskType) ? peftTasks[taskType] : undefined;
  if (peftTask === undefined) {
    const known = Object.keys(peftTasks).join(", ");
    throw invalid(path, `task_type: expected one of ${known}, got ${shown(config.task_type)}`);
  }
  const { method, sizes, isFor } = readPeft(reader, own, Object.keys(tensors), path);
  // PEFT's files do not name the architecture: the classifier's tensors tell, where architectures differ in them.
  const { module } = peftTask;
  const theirs = peftMethod(method, sizes);
  const place = "reason" in theirs ? {} : theirs;
  const nameOf = ({ peftModules }: (typeof architectures)[number]): string =>
    `${placed(peftModules[taskType]?.[module] ?? module, place)}.weight`;
  const possible = architectures.filter(
    (architecture) =>
      [type as string, taskType].every((kind) => architecture.peftRefusals?.[kind] === undefined) &&
      isFor?.(architecture) !== false,
  );
  if (possible.length === 0) throw invalid(weightsPath, "expected tensors of an architecture that we know");
  const fitting = possible.filter((architecture) => nameOf(architecture) in tensors);
  if (fitting.length === 0) {
    const expected = [...new Set(possible.map(nameOf))].join('" or "');
    throw invalid(weightsPath, `expected a tensor "${expected}"`);
  }
  const naming = fitting[0]!.modelTypes[0]!;
  // Where several name the classifier in a way of their own, the first stands for all: saving needs the names again.
  const isTold = fitting.length === 1 || Object.keys(peftModulesOf(naming, taskType)).length > 0;
  const modelType = isTold ? naming : "";
  const classifier = nameOf(fitting[0]!);
  const [outputs = 0, ...inputs] = tensors[classifier]!.shape;
  const hiddenSize = sizes.hiddenSize || (inputs[0] ?? 0);
  if (outputs < 1 || outputs > mostOutputs || `${inputs}` !== `${hiddenSize}`) {
    throw invalid(
      weightsPath,
      `tensor "${classifier}": expected [1 to ${mostOutputs}, ${hiddenSize}], got ${shown(tensors[classifier]!.shape)}`,
    );
  }
  const task = peftTask.create(outputs, labels);
  const facts = { ...sizes, modelType, hiddenSize };
  const taskTypes = "reason" in theirs ? undefined : theirs.taskTypes;
  if (taskTypes?.includes(taskType) === false) {
    throw invalid(path, `task_type: expected ${taskTypes.join(" or ")} with ${type}, got ${taskType}`);
  }
  const all = renamed(tensors, ourNames(task, method, { ...facts, modelType: naming }), weightsPath);
  const moved = Object.keys(peftModulesOf(naming, taskType));
  return new Adapter({
    task,
    method,
    ...divided(all, (name) => moved.some((module) => name.startsWith(`${module}.`))),
    // PEFT's files do not identify the weights: the shapes are all that can be checked.
    backbone: { id: idOf(config.base_model_name_or_path ?? ""), fingerprint: "", ...facts },
    maxLength: task.defaults?.maxLength ?? 128,
    provenance: { createdAt: "", versions: {} },
  });
}

/** What a reader makes of an adapter; what it refuses is about the file. */
function readPeft(reader: PeftReader, config: unknown, names: readonly string[], path: string): PeftAdapter {
  try {
    return reader.read(config as never, names);
  } catch (cause) {
    throw invalid(path, messageOf(cause), cause);
  }
}

/** PEFT saves where a backbone lay on the machine that trained: what remains is the folder's name. */
function idOf(place: string): string {
  if (place === "" || !isPath(place)) return place;
  const name = place
    .replace(/[\\/]+$/, "")
    .split(/[\\/]/)
    .at(-1)!;
  return isPath(name) ? "" : name;
}

/** Outputs of a head; more are no labels. */
const mostOutputs = 100_000;

function asAdapterError(path: string): (cause: unknown) => never {
  return (cause) => {
    if (!(cause instanceof PtuningError)) throw cause;
    throw invalid(path, cause.message.replace(`${path}: `, ""), cause);
  };
}
