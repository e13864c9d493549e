import type { IncomingMessage, ServerResponse } from "node:http";

export interface HubServer {
  readonly url: string;
  /** Paths asked for, in order, each with its method and range. */
  readonly requests: string[];
  /** Answers instead of the server where it returns true. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** What Git calls a content. */
  gitHash(bytes: Uint8Array): string;
  close(): Promise<void>;
}

/** Serves one repository of a kind (`models` or `datasets`) under `owner/name`. */
export function startHub(
  id: string,
  files: Readonly<Record<string, Uint8Array>>,
  kind?: "models" | "datasets",
): Promise<HubServer>;
