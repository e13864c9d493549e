import { hideSecrets } from "./secrets.ts";

/**
 * Every code that a {@link PtuningError} can carry. docs/errors.md says of each what it means and what to do;
 * a test keeps the two lists equal.
 */
export const errorCodes = [
  "ADAPTER_CONFLICT",
  "ADAPTER_INCOMPATIBLE",
  "ADAPTER_INVALID",
  "ADAPTER_UNKNOWN",
  "BACKBONE_INVALID",
  "BACKBONE_NOT_FOUND",
  "BACKBONE_UNSUPPORTED",
  "CONFIG_INVALID",
  "DATA_INVALID",
  "DATA_NOT_FOUND",
  "DEADLINE_EXCEEDED",
  "DOWNLOAD_FAILED",
  "ENGINE_FAILED",
  "ENGINE_UNAVAILABLE",
  "FILE_INVALID",
  "FORBIDDEN",
  "GRAPH_INVALID",
  "INPUT_CHANGED",
  "LOCKED",
  "OPTION_INVALID",
  "OUTPUT_EXISTS",
  "OUTPUT_UNWRITABLE",
  "OVERLOADED",
  "QUEUE_FAILED",
  "QUEUE_UNAVAILABLE",
  "REQUEST_INVALID",
  "REQUEST_TOO_LARGE",
  "ROUTE_UNKNOWN",
  "RUN_INVALID",
  "SEQUENCE_TOO_LONG",
  "SERVER_NOT_READY",
  "STORAGE_FULL",
  "TRAINING_DIVERGED",
  "UNAUTHORIZED",
] as const;

/** One of {@link errorCodes}. */
export type ErrorCode = (typeof errorCodes)[number];

/** What goes with a message: a hint, and what caused it. */
export interface ErrorDetails {
  /** What the user can do about it: one or two sentences. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * The one error family of this package: a mistake or a condition that a user can act on. The message has the
 * form `where: expected …, got ….`; the hint says what to do. Anything else that is thrown is a defect. Messages quote
 * values and files: secrets in them are hidden.
 */
export class PtuningError extends Error {
  override readonly name = "PtuningError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(hideSecrets(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint === undefined ? undefined : hideSecrets(details.hint);
  }
}

/** Why something cannot be expressed elsewhere. */
export interface Refusal {
  readonly reason: string;
}

/** Text of an unknown thrown value. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The `code` of a Node system error (`"ENOENT"`, …), if it has one. */
export function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string"
    ? thrown.code
    : undefined;
}
