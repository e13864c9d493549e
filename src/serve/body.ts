import { PtuningError } from "../core/index.ts";
import { Refused } from "./refusals.ts";

/** What a body may be. */
export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** Milliseconds that a caller has to send it. */
  readonly bodyTimeoutMs: number;
}

/** Brackets inside brackets: no request needs more. */
const mostDepth = 16;

/**
 * The JSON of a request, read within its limits.
 * @throws REQUEST_INVALID if it is no JSON, comes too slowly, or is no JSON by its headers; REQUEST_TOO_LARGE
 */
export async function readJson(request: Request, limits: BodyLimits): Promise<unknown> {
  const type = (request.headers.get("content-type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
  // Other types are those that pages of other sites may send without being asked.
  if (type !== "application/json" && !/^application\/[\w.-]+\+json$/.test(type)) {
    throw new Refused(
      415,
      "REQUEST_INVALID",
      `content-type: expected application/json, got ${type === "" ? "none" : "another"}.`,
    );
  }
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") {
    throw new Refused(415, "REQUEST_INVALID", "content-encoding: expected none, got a compressed body.");
  }
  const text = decode(await readBytes(request, limits));
  expectShallow(text);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const place = /position (\d+)/.exec((cause as Error).message)?.[1];
    const where = place === undefined ? "" : ` at character ${place}`;
    throw new PtuningError("REQUEST_INVALID", `body: expected JSON, got something else${where}.`, { cause });
  }
}

async function readBytes(request: Request, { maxBodyBytes, bodyTimeoutMs }: BodyLimits): Promise<Uint8Array> {
  const length = Number(request.headers.get("content-length") ?? 0);
  if (length > maxBodyBytes) throw tooLarge(maxBodyBytes);
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow(bodyTimeoutMs)), bodyTimeoutMs);
  });
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      size += value.byteLength;
      if (size > maxBodyBytes) throw tooLarge(maxBodyBytes);
      pieces.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof PtuningError) throw error;
    throw new PtuningError("REQUEST_INVALID", "body: expected all of it, got a part.", { cause: error });
  } finally {
    clearTimeout(timer);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new PtuningError("REQUEST_INVALID", "body: expected UTF-8, got other bytes.", { cause });
  }
}

/** What looks deep is refused before anything recursive sees it. */
function expectShallow(text: string): void {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22:
        for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) {
          if (text.charCodeAt(i) === 0x5c) i++;
        }
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > mostDepth) {
          throw new PtuningError(
            "REQUEST_INVALID",
            `body: expected at most ${mostDepth} brackets inside each other, got more.`,
          );
        }
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
    }
  }
}

function tooLarge(most: number): PtuningError {
  return new PtuningError("REQUEST_TOO_LARGE", `body: expected at most ${most} bytes, got more.`, {
    hint: "Send it in pieces.",
  });
}

function tooSlow(milliseconds: number): PtuningError {
  return new Refused(
    408,
    "REQUEST_INVALID",
    `body: expected all of it within ${milliseconds / 1000} s, got a part.`,
    { headers: { connection: "close" } },
  );
}
