import type * as z from "zod";
import type { Architecture, BackboneConfig } from "../../backbones/index.ts";
import type { Refusal } from "../../core/index.ts";
import type { Method } from "../../methods/index.ts";
import type { PeftNames } from "./names.ts";

/** A method in the terms of PEFT's `adapter_config.json`. */
export interface PeftMethod {
  readonly peftType: string;
  /** Keys of its own. @param params names of the tensors of an adapter */
  config(params: readonly string[]): Readonly<Record<string, unknown>>;
  /** Of its tensors. */
  readonly names: PeftNames;
  /** What PEFT puts in front of modules outside the method. Default `base_model.`. */
  readonly modulePrefix?: string;
  /** Types of heads that PEFT computes rightly with this method; absent where it does for all. */
  readonly taskTypes?: readonly string[];
}

/** What configurations of PEFT repeat of a backbone. */
export type PeftSizes = Pick<BackboneConfig, "hiddenSize" | "numLayers" | "numHeads">;

/** How adapters that PEFT saved are read, for one `peft_type`. */
export interface PeftReader {
  /** Keys of `adapter_config.json`. */
  readonly config: z.ZodType;
  /**
   * @param config what {@link PeftReader.config} gives @param names of the tensors beside it
   * @throws OPTION_INVALID naming the key that asks for something else than we compute
   */
  read(config: never, names: readonly string[]): PeftAdapter;
}

/** What an adapter of PEFT says. */
export interface PeftAdapter {
  readonly method: Method;
  /** Of the backbone, where the files say; 0 where they do not. */
  readonly sizes: PeftSizes;
  /** Whether the adapter may be for an architecture; left out, it may be for any. */
  isFor?(architecture: Architecture): boolean;
}

/** How one of our methods is exchanged with PEFT. */
export interface PeftMapping {
  /** What PEFT calls it, for adapters that it shall load; or why it cannot compute the same. @param options all of them */
  write(options: never, sizes: PeftSizes): PeftMethod | Refusal;
  /** How adapters that PEFT saved are read as this method, by their `peft_type`. */
  readonly read?: Readonly<Record<string, PeftReader>>;
}
