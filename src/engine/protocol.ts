import type { TensorMap } from "../core/index.ts";

/** What the main thread asks of the worker that owns ONNX Runtime. */
export type EngineRequest =
  | {
      readonly kind: "compile";
      readonly session: number;
      readonly model: Uint8Array;
      /** Folder of the external data, if the model has any. */
      readonly folder: string | undefined;
      readonly prepack: boolean;
      readonly threads: number;
      readonly spin: boolean;
    }
  | { readonly kind: "bind"; readonly session: number; readonly feeds: TensorMap }
  | {
      readonly kind: "run";
      readonly session: number;
      readonly feeds: TensorMap;
      /** Graph output name → name in the model. */
      readonly fetches: Readonly<Record<string, string>>;
    }
  | { readonly kind: "release"; readonly session: number }
  | { readonly kind: "close" };

export type EngineReply =
  | { readonly id: number; readonly ok: true; readonly outputs?: TensorMap }
  | { readonly id: number; readonly ok: false; readonly message: string; readonly loadFailed: boolean };
