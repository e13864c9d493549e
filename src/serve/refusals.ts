import { type ErrorCode, PtuningError } from "../core/index.ts";
import { Overloaded } from "./scheduler.ts";

/** HTTP statuses of refusals; any other code is a failure of the server's. */
const statuses: { readonly [C in ErrorCode]?: number } = {
  REQUEST_INVALID: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  ADAPTER_UNKNOWN: 404,
  ROUTE_UNKNOWN: 404,
  ADAPTER_CONFLICT: 409,
  REQUEST_TOO_LARGE: 413,
  DATA_INVALID: 422,
  SEQUENCE_TOO_LONG: 422,
  // An adapter that is there and cannot be read.
  ADAPTER_INVALID: 424,
  ADAPTER_INCOMPATIBLE: 424,
  BACKBONE_UNSUPPORTED: 424,
  OVERLOADED: 429,
  SERVER_NOT_READY: 503,
  DEADLINE_EXCEEDED: 504,
};

/** A refusal whose status is another than its code's. */
export class Refused extends PtuningError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    {
      hint,
      headers = {},
    }: { readonly hint?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(code, message, hint === undefined ? {} : { hint });
    this.status = status;
    this.headers = headers;
  }
}

/** An error as a response says it. */
interface ErrorBody {
  readonly error: string;
  readonly code: string;
  readonly hint?: string;
}

/** What a response says of something that was thrown. */
export interface Told {
  readonly status: number;
  readonly body: ErrorBody;
  readonly headers: Readonly<Record<string, string>>;
  /** Not the caller's mistake, nor a condition that is expected. */
  readonly isDefect: boolean;
}

/** A defect tells callers nothing of the inside. */
const internal: ErrorBody = { error: "server: expected an answer, got an internal error.", code: "INTERNAL" };

/** The status and body of anything that was thrown. */
export function told(thrown: unknown): Told {
  const status =
    thrown instanceof Refused
      ? thrown.status
      : thrown instanceof PtuningError
        ? statuses[thrown.code]
        : undefined;
  if (status === undefined) return { status: 500, body: internal, headers: {}, isDefect: true };
  return { status, body: bodyOf(thrown as PtuningError), headers: headersOf(thrown), isDefect: false };
}

function bodyOf({ message, code, hint }: PtuningError): ErrorBody {
  return { error: message, code, ...(hint !== undefined && { hint }) };
}

function headersOf(thrown: unknown): Readonly<Record<string, string>> {
  if (thrown instanceof Refused) return thrown.headers;
  if (thrown instanceof Overloaded) return { "retry-after": String(thrown.retryAfterSeconds) };
  const code = thrown instanceof PtuningError ? thrown.code : undefined;
  if (code === "UNAUTHORIZED") return { "www-authenticate": "Bearer" };
  if (code === "SERVER_NOT_READY") return { "retry-after": "1" };
  return {};
}
