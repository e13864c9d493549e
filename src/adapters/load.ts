import { stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { messageOf, type Params, PtuningError, type Tensor } from "../core/index.ts";
import { readJson, readSafetensors } from "../files/index.ts";
import { deepPrompt, type Method, methodFrom } from "../methods/index.ts";
import { sequenceClassification, type Task, taskFrom } from "../tasks/index.ts";
import { Adapter, type AdapterFields, type BackboneReference } from "./adapter.ts";
import { formatVersion, ownPeftType, peftConfigFile, sidecarFile, weightsFile } from "./save.ts";

const named = z.object({ options: z.record(z.string(), z.unknown()) });
const sidecarSchema = z.object({
  formatVersion: z.int(),
  task: named.extend({ type: z.string() }),
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
  provenance: z.object({
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
  }),
});

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
  /** Label names for an adapter that PEFT saved: its files hold none. Default `LABEL_0`, `LABEL_1`, … */
  readonly labels?: readonly string[];
}

/**
 * Reads an adapter folder of ours, or one that PEFT saved (PREFIX_TUNING with a sequence head). Nothing is
 * downloaded and no other path is opened.
 *
 * @throws ADAPTER_INVALID naming the file and the field
 */
export async function loadAdapter(folder: string, options: LoadAdapterOptions = {}): Promise<Adapter> {
  const isFolder = await stat(folder).then(
    (status) => status.isDirectory(),
    () => false,
  );
  if (!isFolder) throw invalid(folder, "expected an adapter folder, got no such folder");
  const peftPath = join(folder, peftConfigFile);
  const sidecarPath = join(folder, sidecarFile);
  const peftJson = await readJson(peftPath).catch(asAdapterError(peftPath));
  const weightsPath = join(folder, weightsFile);
  const { tensors } = await readSafetensors(weightsPath).catch(asAdapterError(weightsPath));
  const hasSidecar = await stat(sidecarPath).then(
    () => true,
    () => false,
  );
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
  const sidecar = parse(sidecarSchema, json, sidecarPath);
  let [task, method]: [Task, Method] = [undefined as never, undefined as never];
  try {
    task = taskFrom(sidecar.task.type, sidecar.task.options);
    method = methodFrom(sidecar.method.name, sidecar.method.options);
  } catch (cause) {
    throw invalid(sidecarPath, messageOf(cause), cause);
  }
  const { backbone, maxLength, provenance } = sidecar;
  const params = renamed(tensors, peftNames(task, method, backbone), weightsPath);
  return new Adapter({
    task,
    method,
    params,
    backbone,
    maxLength,
    provenance: provenance as AdapterFields["provenance"],
  });
}

/** PEFT's tensor names → ours, from what the parts say of themselves. */
function peftNames(
  task: Task,
  method: Method,
  size: Pick<BackboneReference, "hiddenSize" | "numLayers" | "numHeads">,
): Map<string, string> {
  const theirs = method.peft(size);
  const head = task.head.peft;
  if ("reason" in theirs || "reason" in head) return new Map();
  return new Map(Object.entries({ ...theirs.tensors, ...head.tensors }).map(([ours, name]) => [name, ours]));
}

function renamed(
  tensors: Readonly<Record<string, Tensor>>,
  names: Map<string, string>,
  where: string,
): Params {
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
  if (type !== "PREFIX_TUNING") {
    throw invalid(path, `peft_type: expected PREFIX_TUNING, got ${JSON.stringify(type)}`);
  }
  const config = parse(peftSchema, json, path);
  if (config.task_type !== "SEQ_CLS") {
    throw invalid(path, `task_type: expected SEQ_CLS, got ${JSON.stringify(config.task_type)}`);
  }
  const method = deepPrompt({ preset: "peft", promptLength: config.num_virtual_tokens });
  const numLabels = tensors["base_model.classifier.weight"]?.shape[0];
  if (numLabels === undefined) throw invalid(weightsPath, 'expected a tensor "base_model.classifier.weight"');
  const names = labels ?? Array.from({ length: numLabels }, (_, i) => `LABEL_${i}`);
  if (names.length !== numLabels)
    throw invalid(path, `labels: expected ${numLabels} names, got ${names.length}`);
  const task = sequenceClassification({ labels: names, preset: "peft" }) as Task;
  const { token_dim: hiddenSize, num_layers: numLayers, num_attention_heads: numHeads } = config;
  const size = { hiddenSize, numLayers, numHeads };
  return new Adapter({
    task,
    method,
    params: renamed(tensors, peftNames(task, method, size), weightsPath),
    // PEFT's files do not identify the weights: the shapes are all that can be checked.
    backbone: { id: config.base_model_name_or_path ?? "", fingerprint: "", modelType: "", ...size },
    maxLength: 128,
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
