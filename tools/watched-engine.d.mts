import type { Engine } from "ptuning/engine";

/** What an injected failure throws. */
export class Injected extends Error {}

/** What is seen of an engine, and where it fails. */
export interface Watch {
  /** Sessions and held tensors that are open. */
  readonly open: number;
  /** Calls since the last reset. */
  readonly calls: number;
  /** Counts from 0; call `failAt` (from 1) waits for `onCall`, or fails where there is none. */
  reset(failAt?: number, onCall?: () => unknown): void;
}

/** The engine under observation. */
export function watchedEngine(inner: Engine): { readonly engine: Engine; readonly watch: Watch };
