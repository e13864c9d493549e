/** Asking the hub: through the proxy that the environment names, with limits of time and size. */
import type { Response as UndiciResponse } from "undici";

/** The hub gets this long for the first byte of an answer. */
export const answerTimeoutMs = 5_000;
/** A transfer that brings nothing for this long is given up. */
const idleTimeoutMs = 30_000;
/** A page of a listing has some hundred bytes for each file; nothing else that is asked is longer. */
const mostAnswerBytes = 32 * 2 ** 20;
/** What is read of an error's text. */
const mostErrorBytes = 64 * 2 ** 10;

/** `fetch` for the hub: answers that are not a file are read at once, up to a limit; a silent server is given up. */
export async function hubFetch(signal?: AbortSignal): Promise<typeof fetch> {
  const undici = await import("undici");
  const dispatcher = new undici.EnvHttpProxyAgent({
    connectTimeout: answerTimeoutMs,
    headersTimeout: answerTimeoutMs,
    bodyTimeout: idleTimeoutMs,
  });
  const bounded = async (input: string | URL | Request, init?: RequestInit): Promise<unknown> => {
    const { url, headers: given } = withoutLogin(String(input), init?.headers);
    const response = await undici.fetch(url, {
      ...(init as object),
      headers: given as Headers & object,
      dispatcher,
      ...(signal && { signal }),
    });
    if (response.ok && new URL(url).pathname.includes("/resolve/")) {
      // Of the question how large a file is only the head of the answer counts.
      if (new Headers(init?.headers).get("range") === "bytes=0-0") await response.body?.cancel();
      return response;
    }
    const bytes = await readAnswer(response, url);
    const { status, statusText, headers } = response;
    const answer = new undici.Response(bytes.length === 0 ? null : bytes, { status, statusText, headers });
    Object.defineProperty(answer, "url", { value: response.url });
    return answer;
  };
  return bounded as typeof fetch;
}

/** An address without user and password, which go into a header unless there is one: fetch refuses such addresses. */
function withoutLogin(
  address: string,
  given: RequestInit["headers"],
): { readonly url: string; readonly headers: Headers } {
  const headers = new Headers(given);
  const url = new URL(address);
  const { username, password } = url;
  if (username === "" && password === "") return { url: address, headers };
  url.username = "";
  url.password = "";
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  if (!headers.has("authorization"))
    headers.set("authorization", `Basic ${Buffer.from(login).toString("base64")}`);
  return { url: url.href, headers };
}

async function readAnswer({ ok, body }: UndiciResponse, url: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (body === null) return new Uint8Array();
  for await (const chunk of withIdleTimeout(body)) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (!ok && bytes >= mostErrorBytes) break;
    if (bytes > mostAnswerBytes)
      throw new Error(`${new URL(url).pathname}: the answer has more than ${mostAnswerBytes / 2 ** 20} MiB`);
  }
  return Buffer.concat(chunks);
}

/** Chunks of a body; leaving the loop, and silence, end the transfer. */
export async function* withIdleTimeout(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const idle = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no data for ${idleTimeoutMs / 1000} s`)), idleTimeoutMs);
      });
      const next = await Promise.race([iterator.next(), idle]).finally(() => clearTimeout(timer));
      isOver = next.done === true;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    if (!isOver) void iterator.return?.().catch(() => {});
  }
}
