import type { TwinOptions, TwinResult } from "./twin.mjs";

export interface MultiTwinResult extends Omit<TwinResult, "set" | "method" | "learningRate"> {
  /** Names of twin sets, joined by +. */
  readonly set: string;
  /** Updates of each task. */
  readonly updates: Readonly<Record<string, number>>;
}
export function multiTwin(
  names: string,
  steps: number,
  options?: Omit<TwinOptions, "method" | "dtype">,
): Promise<MultiTwinResult>;
