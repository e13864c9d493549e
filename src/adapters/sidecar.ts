/** What the files of an adapter folder say beside the tensors. */
import * as z from "zod";
import { limits } from "../backbones/portable.ts";
import { issueText, PtuningError } from "../core/index.ts";
import type { BackboneReference } from "./adapter.ts";

const named = z.object({ options: z.record(z.string(), z.unknown()) });
const count = z.int().positive();

interface SavedProvenance {
  readonly createdAt: string;
  readonly versions: Record<string, string>;
  readonly data?:
    | { fingerprint: string; train: number; dev: number; table?: Record<string, unknown> | undefined }
    | undefined;
  readonly training?: Record<string, unknown> | undefined;
  readonly metrics?: Record<string, Record<string, number>> | undefined;
}

const provenance: z.ZodType<SavedProvenance> = z.object({
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
  frozen: z.array(z.string()).max(10_000).default([]),
  provenance,
});

/** A hub id, or the base name of a folder; empty where PEFT did not say. */
const backboneId = z
  .string()
  .max(256)
  .refine((id) => id === "" || !isPath(id), "expected a hub id or the name of a folder, no path");

/** Whether a backbone's name would be read as a place on this machine. */
export function isPath(id: string): boolean {
  const parts = id.split("/");
  return (
    parts.length > 2 ||
    parts.some((part) => /^\.*$/.test(part)) ||
    // biome-ignore lint/suspicious/noControlCharactersInRegex: no name of a folder that we write holds any
    /[\\\u0000-\u001f\u007f]|^[A-Za-z]:|^~/.test(id)
  );
}

const shared = z.object({
  method: named.extend({ name: z.string() }),
  backbone: z.object({
    id: backboneId,
    /** Null where nobody knows the weights: the adapter came from PEFT. */
    fingerprint: z
      .string()
      .regex(/^[\w-]+:[0-9a-f]{32,128}$/, "expected a method and a hash, as in sha256:…")
      .nullable(),
    modelType: z.string(),
    hiddenSize: count.max(limits.hiddenSize),
    /** Null where an adapter of PEFT does not say. */
    numLayers: count.max(limits.layers).nullable(),
    numHeads: count.max(limits.hiddenSize).nullable(),
  }),
  maxLength: count.max(limits.positions),
});

interface SavedHead {
  readonly task: { readonly type: string; readonly options: Record<string, unknown> };
  readonly frozen: string[];
  readonly provenance: SavedProvenance;
}

interface SavedPrompt {
  readonly method: { readonly name: string; readonly options: Record<string, unknown> };
  readonly backbone: Pick<BackboneReference, "id" | "modelType" | "hiddenSize"> & {
    readonly fingerprint: string | null;
    readonly numLayers: number | null;
    readonly numHeads: number | null;
  };
  readonly maxLength: number;
}

/** An adapter of one task. */
export interface Sidecar extends SavedPrompt, SavedHead {
  /** Of a checkpoint: our tensor name → the name in its file. */
  readonly tensors?: Record<string, string> | undefined;
}

export const sidecarSchema: z.ZodType<Sidecar> = shared.extend({
  ...head.shape,
  tensors: z.record(z.string(), z.string()).optional(),
});

/** An adapter of several tasks. */
export interface MultiTaskSidecar extends SavedPrompt {
  readonly heads: Record<string, SavedHead>;
}

export const multiTaskSchema: z.ZodType<MultiTaskSidecar> = shared.extend({
  heads: z.record(z.string().regex(/^[\w-]+$/, "expected names of letters, digits, - and _"), head),
});

/** PEFT's `adapter_config.json`; what a method adds, its reader knows. */
export const peftSchema: z.ZodType<{
  peft_type: string;
  task_type?: string | null | undefined;
  base_model_name_or_path?: string | null | undefined;
}> = z.object({
  peft_type: z.string(),
  task_type: z.string().nullish(),
  base_model_name_or_path: z.string().nullish(),
});

/**
 * A file's JSON by its schema.
 * @throws ADAPTER_INVALID naming file and key
 */
export function parseFile<T extends z.ZodType>(schema: T, json: unknown, path: string): z.output<T> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw invalid(path, issueText(parsed.error.issues[0]!, json));
}

/** ADAPTER_INVALID about a file. */
export function invalid(path: string, message: string, cause?: unknown, hint?: string): PtuningError {
  return new PtuningError("ADAPTER_INVALID", `${path}: ${message.replace(/\.$/, "")}.`, {
    hint: hint ?? "The folder is not an adapter, or it is damaged: save or copy it again.",
    cause,
  });
}
