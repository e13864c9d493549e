import type { BatchFacts } from "./scheduler.ts";

/** An answered HTTP request. No event holds a text, a label or a key. */
export interface RequestEvent {
  readonly type: "request";
  readonly method: string;
  /** The route's pattern, such as `/models/:adapter`; `*` where there is none. */
  readonly route: string;
  readonly status: number;
  /** Code of the refusal, where it was one. */
  readonly code?: string;
  /** Adapters that were asked, as far as there are such. */
  readonly models: readonly string[];
  /** Name of the key. */
  readonly caller?: string;
  readonly texts: number;
  /** Of the texts, padding not counted. */
  readonly tokens: number;
  readonly milliseconds: number;
  readonly queueMilliseconds: number;
  readonly traceId: string;
  /** The caller went before the answer. */
  readonly abandoned: boolean;
}

/** What happened to an adapter. */
export interface AdapterEvent {
  readonly type: "adapter-loaded" | "adapter-failed" | "adapter-removed" | "adapter-listed";
  readonly name: string;
  /** Why it cannot be served. */
  readonly reason?: string;
  readonly milliseconds?: number;
}

/** An error that is none of a caller's. */
export interface DefectEvent {
  readonly type: "defect";
  readonly error: unknown;
  readonly traceId?: string;
}

/** What a server tells whoever runs it. */
export type ServeEvent =
  | RequestEvent
  | AdapterEvent
  | DefectEvent
  | (BatchFacts & { readonly type: "batch" })
  | { readonly type: "listening"; readonly url: string; readonly admin?: string }
  | { readonly type: "ready"; readonly adapters: number; readonly failed: number }
  | { readonly type: "draining"; readonly open: number }
  | { readonly type: "stopped"; readonly cut: number };
