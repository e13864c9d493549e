/** A refusal, as the server says it. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** As docs/errors.md lists them; `UNREACHABLE` where there was no answer. */
  readonly code: string;
  readonly hint: string | undefined;
  /** When the server wants to be asked again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    details: { readonly hint?: string; readonly retryAfterSeconds?: number; readonly cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = status;
    this.code = code;
    this.hint = details.hint;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }

  /** Of a response that is none of success. */
  static async of(response: Response): Promise<ClientError> {
    const body = (await response.json().catch(() => undefined)) as
      | { readonly error?: unknown; readonly code?: unknown; readonly hint?: unknown }
      | undefined;
    const { error, code, hint } = body ?? {};
    const retryAfter = afterSeconds(response.headers.get("retry-after"));
    return new ClientError(
      response.status,
      typeof code === "string" ? code : "HTTP",
      typeof error === "string" ? error : `server: expected an answer, got status ${response.status}.`,
      {
        ...(typeof hint === "string" && { hint }),
        ...(retryAfter !== undefined && { retryAfterSeconds: retryAfter }),
      },
    );
  }

  /** Whether the same request may be answered later. */
  get isForNow(): boolean {
    return this.status === 429 || this.status === 503 || this.status === 0;
  }
}

/** `Retry-After` as seconds or as a date. */
function afterSeconds(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

const firstDelayMs = 200;
const mostDelayMs = 60_000;

/** Milliseconds to wait: what the server says and a little more, so that not all come at once; else twice as long each time. */
export function retryDelay(attempt: number, retryAfterSeconds: number | undefined): number {
  const wanted =
    retryAfterSeconds === undefined
      ? firstDelayMs * 2 ** attempt * (0.5 + Math.random())
      : retryAfterSeconds * 1000;
  return Math.min(mostDelayMs, wanted + (retryAfterSeconds === undefined ? 0 : Math.random() * 250));
}

/** Waits, unless it is told to stop. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
