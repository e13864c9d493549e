import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { PtuningError, systemCode } from "../core/index.ts";
import type { ServeApp } from "./app.ts";

/** Where a server listens, and how long it waits for callers. */
export interface ListenOptions {
  /** Default 127.0.0.1: nobody but this machine. */
  readonly host?: string;
  /** Default 8080; 0: one that is free. */
  readonly port?: number;
  /** Milliseconds that a request may take to arrive as a whole. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /** Connections at a time. Default 4096. */
  readonly maxConnections?: number;
}

/** A server that listens. */
export interface Listening {
  readonly url: string;
  readonly port: number;
  /**
   * Takes no connections any more and lets what is under way end, as long as it may.
   * @returns how many connections were cut
   */
  close(graceMs: number): Promise<number>;
}

/** Headers that arrive more slowly end a connection. */
const headersTimeoutMs = 10_000;
/** Bytes of all headers of a request. */
const maxHeaderSize = 16 * 1024;
/** Connections without a request stay open for the next one; most balancers close theirs after 60 s, before us. */
const keepAliveTimeoutMs = 65_000;
/** A caller that reads nothing for so long is cut. */
const idleTimeoutMs = 120_000;

/**
 * Listens on a port.
 * @throws OPTION_INVALID if it is taken or may not be had
 */
export async function listen(
  fetch: ServeApp["fetch"],
  { host = "127.0.0.1", port = 8080, requestTimeoutMs = 30_000, maxConnections = 4096 }: ListenOptions = {},
): Promise<Listening> {
  let isClosing = false;
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false });
  const options = {
    maxHeaderSize,
    headersTimeout: Math.min(headersTimeoutMs, requestTimeoutMs),
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: 500,
  };
  const server = createServer(options, (request: IncomingMessage, response: ServerResponse) => {
    // Who asks on an open connection while the server ends is told not to ask there again.
    if (isClosing) response.setHeader("connection", "close");
    void answer(request, response);
  });
  server.maxConnections = maxConnections;
  server.timeout = idleTimeoutMs;
  server.on("clientError", refuse);
  await bind(server, host, port);
  const { port: bound } = server.address() as AddressInfo;
  const named = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${named}:${bound}`,
    port: bound,
    async close(graceMs) {
      isClosing = true;
      let cut = 0;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // Connections that end their request now are idle only then.
      const sweep = setInterval(() => server.closeIdleConnections(), 50);
      const timer = setTimeout(() => {
        server.getConnections((_, count) => {
          cut = count;
          server.closeAllConnections();
        });
      }, graceMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(timer);
      return cut;
    },
  };
}

async function bind(server: Server, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen({ host, port }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    const code = systemCode(cause);
    const got =
      code === "EADDRINUSE"
        ? "one that is taken"
        : code === "EACCES"
          ? "one that needs more rights"
          : code === "ENOTFOUND" || code === "EADDRNOTAVAIL"
            ? "an address that this machine does not have"
            : String(code);
    throw new PtuningError(
      "OPTION_INVALID",
      `port: expected one to listen on at ${host}:${port}, got ${got}.`,
      {
        cause,
      },
    );
  }
}

/** What is no HTTP, or too large or slow, is refused in our form and cut. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, text, message] =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? [408, "Request Timeout", "request: expected all of it in time, got a part."]
      : error.code === "HPE_HEADER_OVERFLOW"
        ? [
            431,
            "Request Header Fields Too Large",
            `headers: expected at most ${maxHeaderSize} bytes, got more.`,
          ]
        : [400, "Bad Request", "request: expected HTTP, got something else."];
  const body = JSON.stringify({ error: message, code: "REQUEST_INVALID" });
  const head = `HTTP/1.1 ${status} ${text}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  socket.end(head + body);
}
