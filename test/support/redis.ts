/** A Redis server of a test's own, on a free port, with nothing kept on disk. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { limit } from "./limits.ts";
import { redisServer, repository } from "./requirements.ts";

export interface TestRedis {
  readonly url: string;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Starts the server; it wants a password, as one on a network should. */
export async function startRedis(folder: string): Promise<TestRedis> {
  const port = await freePort();
  const password = "only-for-tests";
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const server = spawn(redisServer, [...args, "--requirepass", password], { stdio: "ignore" });
  const url = `redis://:${password}@127.0.0.1:${port}`;
  const client = new Redis(url, { retryStrategy: () => 100 });
  client.on("error", () => {});
  await client.ping();
  client.disconnect();
  return {
    url,
    async stop() {
      const ended = once(server, "exit");
      server.kill();
      await ended;
    },
  };
}

/** A worker of the built command line, with what it has told so far. */
export class TestWorker {
  readonly process: ChildProcess;
  readonly events: { readonly type: string; readonly [key: string]: unknown }[] = [];
  stderr = "";

  constructor(
    url: string,
    root: string,
    lockSeconds = 2,
    { flags = [], env = {} }: { flags?: readonly string[]; env?: Record<string, string> } = {},
  ) {
    const args = ["worker", "--queue", url, "--root", root, "--workers", "1", "--threads", "1", "--json"];
    this.process = spawn(
      process.execPath,
      [`${repository}dist/cli/main.js`, ...args, "--lock-seconds", String(lockSeconds), ...flags],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } },
    );
    let rest = "";
    this.process.stdout!.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.events.push(JSON.parse(line));
    });
    this.process.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
  }

  ofType(type: string): TestWorker["events"] {
    return this.events.filter((event) => event.type === type);
  }

  /** Ends it; waits until its standard output is read. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return this.process.exitCode;
    const closed = once(this.process, "close");
    this.process.kill(signal);
    const timer = delay(limit(20_000), undefined, { ref: false }).then(() => this.process.kill("SIGKILL"));
    await closed;
    void timer;
    return this.process.exitCode;
  }
}
