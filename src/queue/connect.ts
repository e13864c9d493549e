import { messageOf, PtuningError, systemCode } from "../core/index.ts";

/** Name of the queue in Redis. */
export const queueName = "ptuning-trials";

/** How our objects of the queue's library connect. */
export interface Connection {
  readonly url: string;
  readonly maxRetriesPerRequest: null;
}

/** The library, loaded when it is first needed: whoever trains on one machine needs neither it nor Redis. */
export type BullMQ = typeof import("bullmq");

/** How long Redis may take to answer at first. */
const connectTimeoutMs = 5000;

/**
 * Loads the library of the queue and sees that Redis answers.
 * @param url `redis://[user:password@]host[:port][/database]`, `rediss://` with TLS
 * @throws OPTION_INVALID for another address or a database that is not there; QUEUE_UNAVAILABLE if a package is missing or Redis does not answer
 */
export async function connect(url: string): Promise<{ library: BullMQ; connection: Connection }> {
  const { address, database } = parseAddress(url);
  const [library, { Redis }] = await Promise.all([
    import("bullmq").catch(missing("bullmq")),
    import("ioredis").catch(missing("ioredis")),
  ]);
  // The database is asked for below: what is wrong with its number would only be an event.
  const server = new URL(url);
  server.pathname = "";
  const client = new Redis(server.href, {
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // What goes wrong is told by the promises below.
  let reason: Error | undefined;
  client.on("error", (error) => {
    reason ??= error;
  });
  try {
    await client.connect();
    await client.ping();
    await client.select(database).catch((cause: unknown) => {
      throw new PtuningError(
        "OPTION_INVALID",
        `queue: expected a database that Redis at ${address} has, got ${database}: ${messageOf(cause)}.`,
        { hint: "A server has the databases 0 to 15, unless it was set up otherwise.", cause },
      );
    });
  } catch (error) {
    if (error instanceof PtuningError) throw error;
    throw new PtuningError(
      "QUEUE_UNAVAILABLE",
      `Redis at ${address}: expected an answer: ${messageOf(reason ?? error)}.`,
      { hint: "Check that the server runs, its address, and user and password.", cause: error },
    );
  } finally {
    client.disconnect();
  }
  return { library, connection: { url, maxRetriesPerRequest: null } };
}

/** Host and port for messages, never the password; and the number of the database. */
function parseAddress(url: string): { address: string; database: number } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !["redis:", "rediss:"].includes(parsed.protocol) || parsed.hostname === "")
    throw new PtuningError("OPTION_INVALID", "queue: expected redis://host:port or rediss://host:port.");
  const [, database] = /^\/?(\d{0,9})$/.exec(parsed.pathname) ?? [];
  if (database === undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `queue: expected the number of a database behind the port, got "${parsed.pathname.slice(1)}".`,
      { hint: "As in redis://host:6379/0." },
    );
  }
  return { address: parsed.host, database: Number(database) };
}

function missing(name: string): (cause: unknown) => never {
  return (cause) => {
    if (systemCode(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new PtuningError("QUEUE_UNAVAILABLE", `queue: expected the package ${name}, it is not installed.`, {
      hint: "Install what the queue needs: npm install bullmq ioredis",
      cause,
    });
  };
}
