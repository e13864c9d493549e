import { stat } from "node:fs/promises";
import { loadBackbone, type Precision } from "../../backbones/index.ts";
import { PtuningError, withoutUndefined } from "../../core/index.ts";
import { nodeEngine } from "../../engine/index.ts";
import { formatCount } from "../../report/index.ts";
import { addKey, type Scopes, type ServeEvent, type ServerOptions, startServer } from "../../serve/index.ts";
import { aboveZero, numberOf, positive, threadsOf } from "../numbers.ts";
import { goOnUnread } from "../readers.ts";
import { stopping } from "../stop.ts";
import { downloadReporter, note, print, printJson, progressLine, style, warn } from "../terminal.ts";

interface ServeFlags {
  readonly adapters?: string;
  readonly backbone?: string;
  readonly host: string;
  readonly port: string;
  readonly keys?: string;
  readonly withoutKeys?: boolean;
  readonly corsOrigin?: readonly string[];
  readonly allowHost?: readonly string[];
  readonly adminPort?: string;
  readonly precision?: Precision;
  readonly threads?: string;
  readonly adapterMemory?: string;
  readonly pin?: readonly string[];
  readonly maxBatchTokens: string;
  readonly maxBatchDelay: string;
  readonly maxQueueTexts: string;
  readonly maxClientBatch: string;
  readonly maxCharacters: string;
  readonly maxBody: string;
  readonly timeout: string;
  readonly grace: string;
  readonly poll: string;
  readonly metricsPerAdapter?: boolean;
  readonly json?: boolean;
}

const loopback: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "::1"]);

export async function serveCommand(flags: ServeFlags): Promise<void> {
  const { adapters, backbone: name, host, keys } = flags;
  if (adapters === undefined) throw missing("--adapters", "a folder of adapters");
  if (name === undefined) throw missing("--backbone", "the backbone that they were trained on");
  if (keys !== undefined && flags.withoutKeys) {
    throw new PtuningError("OPTION_INVALID", "--keys: expected no --without-keys beside it.");
  }
  const isLocal = loopback.has(host);
  if (keys === undefined && !isLocal && !flags.withoutKeys) {
    throw new PtuningError("OPTION_INVALID", `--host: expected --keys beside ${host}, got none.`, {
      hint: `ptuning serve add-key keys.json NAME --allow "*" makes a file with a key; --without-keys lets everyone in.`,
    });
  }
  const tell = flags.json ? tellJson : tellText;
  const options = {
    ...{ adapters, host },
    keys: keys === undefined ? ("anyone" as const) : { file: keys },
    port: portOf("--port", flags.port),
    adminPort: flags.adminPort === undefined ? undefined : portOf("--admin-port", flags.adminPort),
    // Without keys a page of another site could call this machine by a name of its own.
    allowedHosts:
      keys === undefined && isLocal ? [...loopback, "[::1]", ...(flags.allowHost ?? [])] : undefined,
    corsOrigins: flags.corsOrigin?.map(originOf),
    precision: flags.precision,
    adapterMemory:
      flags.adapterMemory === undefined ? undefined : bytesOf("--adapter-memory", flags.adapterMemory),
    pin: flags.pin,
    maxBatchTokens: positive("--max-batch-tokens", flags.maxBatchTokens),
    maxBatchDelayMs: numberOf("--max-batch-delay", flags.maxBatchDelay, { from: 0 }),
    maxQueueTexts: positive("--max-queue-texts", flags.maxQueueTexts),
    maxClientBatch: positive("--max-client-batch", flags.maxClientBatch),
    maxCharacters: positive("--max-characters", flags.maxCharacters),
    maxBodyBytes: bytesOf("--max-body", flags.maxBody),
    timeoutMs: 1000 * aboveZero("--timeout", flags.timeout),
    pollMs: 1000 * aboveZero("--poll", flags.poll),
    metricsPerAdapter: flags.metricsPerAdapter,
    onEvent: tell,
  };
  const graceMs = 1000 * numberOf("--grace", flags.grace, { from: 0 });
  await expectFolder(adapters);
  goOnUnread();
  stopping.says("Stopping: what was taken is answered, nothing else is …");
  const { signal } = stopping;
  const engine = nodeEngine(threadsOf(flags.threads));
  await using backbone = await loadBackbone(name, { engine, onProgress: downloadReporter(), signal });
  progressLine.clear();
  const server = await startServer({
    ...(withoutUndefined(options) as Omit<ServerOptions, "backbone">),
    backbone,
  });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.close(graceMs);
  if (stopping.exitCode !== undefined) process.exitCode = stopping.exitCode;
}

interface AddKeyFlags {
  readonly allow?: readonly string[];
  readonly metrics?: boolean;
  readonly admin?: boolean;
}

export async function addKeyCommand(file: string, name: string, flags: AddKeyFlags): Promise<void> {
  const { allow, metrics, admin } = flags;
  const key = await addKey(file, name, withoutUndefined({ adapters: allow, metrics, admin }) as Scopes);
  note(`The key of "${name}", which is shown only now; ${file} holds its hash:`);
  print(key);
}

function missing(flag: string, what: string): PtuningError {
  return new PtuningError("OPTION_INVALID", `${flag}: expected ${what}, got none.`);
}

/** Before a backbone is loaded, which takes its time. */
async function expectFolder(path: string): Promise<void> {
  const isFolder = await stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new PtuningError("OPTION_INVALID", `--adapters: expected a folder, got ${path}.`);
}

function portOf(flag: string, text: string): number {
  const port = numberOf(flag, text, { whole: true, from: 0 });
  if (port <= 65_535) return port;
  throw new PtuningError("OPTION_INVALID", `${flag}: expected a port from 0 to 65535, got ${port}.`);
}

function originOf(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : "";
  if (origin === text && /^https?:/.test(origin)) return origin;
  throw new PtuningError(
    "OPTION_INVALID",
    `--cors-origin: expected a site as https://example.org, got ${JSON.stringify(text)}.`,
  );
}

const units: Readonly<Record<string, number>> = { "": 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30 };

/** A number of bytes: `2mb`. */
function bytesOf(flag: string, text: string): number {
  const [, number, unit] = /^([\d.]+)\s*([kmg]?b?)$/i.exec(text.trim()) ?? [];
  const factor =
    units[
      (unit ?? "")
        .toLowerCase()
        .replace(/^b$/, "")
        .replace(/^([kmg])$/, "$1b")
    ];
  if (number === undefined || factor === undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `${flag}: expected a size as 500mb or 2gb, got ${JSON.stringify(text)}.`,
    );
  }
  return Math.floor(aboveZero(flag, number) * factor);
}

/** Lines for programs. None of them holds a text, a label or a key. */
function tellJson(event: ServeEvent): void {
  const time = new Date().toISOString();
  if (event.type === "batch") return;
  if (event.type !== "defect") {
    printJson({ time, ...event });
    return;
  }
  const { error, traceId } = event;
  const { message, stack } = error as Error;
  printJson({ time, type: "defect", message, stack, ...(traceId !== undefined && { traceId }) });
}

function tellText(event: ServeEvent): void {
  switch (event.type) {
    case "listening":
      note(`Listening on ${event.url}${event.admin ? `, admin API on ${event.admin}` : ""}.`);
      break;
    case "ready":
      note(
        `Ready: ${formatCount(event.adapters)} adapters${event.failed > 0 ? `, ${event.failed} refused` : ""}.`,
      );
      break;
    case "request": {
      if (event.status < 400 && event.models.length === 0) break;
      const code = event.code ? `  ${style("red", event.code)}` : "";
      const models = [...new Set(event.models)].slice(0, 3).join(", ");
      const time = `${event.milliseconds.toFixed(1)} ms`;
      print(
        `${event.method} ${event.route}  ${event.status}${code}  ${models}  ${event.texts} texts  ${time}`,
      );
      break;
    }
    case "adapter-failed":
      warn(`adapter "${event.name}": ${event.reason}`);
      break;
    case "adapter-loaded":
    case "adapter-removed":
      note(`adapter "${event.name}" ${event.type === "adapter-loaded" ? "read" : "taken out"}`);
      break;
    case "defect":
      warn(event.error instanceof PtuningError ? event.error.message : String((event.error as Error)?.stack));
      break;
    case "draining":
      note(`Answering ${event.open} open requests …`);
      break;
    case "stopped":
      if (event.cut > 0) warn(`${event.cut} connections were cut.`);
      break;
  }
}
