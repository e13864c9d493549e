import type { TensorMap } from "../core/index.ts";
import type { Device } from "./engine.ts";
import type { NamedBytes } from "./external.ts";

/** What the main thread asks of the worker that owns ONNX Runtime. */
export type EngineRequest =
  | {
      readonly kind: "compile";
      readonly session: number;
      readonly model: Uint8Array;
      /** Folder of the external data, if the model has any. */
      readonly folder: string | undefined;
      /** External data that lies in no file. */
      readonly read: NamedBytes | undefined;
      readonly device: Device;
      readonly prepack: boolean;
      readonly threads: number;
      readonly spin: boolean;
    }
  /** Feeds of later runs: tensors, or a set that the engine holds. */
  | { readonly kind: "bind"; readonly session: number; readonly feeds: TensorMap | number }
  | {
      readonly kind: "run";
      readonly session: number;
      readonly feeds: TensorMap;
      /** Graph output name → name in the model. */
      readonly fetches: Readonly<Record<string, string>>;
      /** Outputs that stay: the set that takes them, and the name in it of each. */
      readonly keep?: { readonly held: number; readonly names: Readonly<Record<string, string>> };
    }
  | { readonly kind: "hold"; readonly held: number; readonly tensors: TensorMap }
  /** All tensors, or those that are named. */
  | { readonly kind: "read"; readonly held: number; readonly names: readonly string[] | undefined }
  | {
      readonly kind: "write";
      readonly held: number;
      readonly name: string;
      /** Of the first number. */
      readonly offset: number;
      readonly data: Float32Array;
    }
  | {
      readonly kind: "grow";
      readonly held: number;
      readonly name: string;
      /** Of the first axis. */
      readonly length: number;
    }
  | { readonly kind: "drop"; readonly held: number }
  | {
      readonly kind: "sweep";
      readonly session: number;
      readonly names: readonly string[];
      /** Graph input → the set whose vectors it reads. */
      readonly vectors: Readonly<Record<string, number>>;
      /** Name in the model of an output → graph input whose vectors it rewrites. */
      readonly rewrites: Readonly<Record<string, string>>;
      readonly feeds: TensorMap;
      /** Graph output → name in the model; those that rewrite nothing are scalars to be added up. */
      readonly fetches: Readonly<Record<string, string>>;
    }
  | { readonly kind: "release"; readonly session: number }
  | { readonly kind: "close" };

export type EngineReply =
  | { readonly id: number; readonly ok: true; readonly outputs?: TensorMap }
  | {
      readonly id: number;
      readonly ok: false;
      readonly message: string;
      /** What is not there, where that is why. */
      readonly lacking: "library" | "device" | undefined;
    };
