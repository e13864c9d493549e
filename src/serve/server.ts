import { readFile } from "node:fs/promises";
import type { Backbone } from "../backbones/index.ts";
import { PtuningError, Resources } from "../core/index.ts";
import { createPredictorPool, type PredictorPoolOptions } from "../predict/index.ts";
import { type AppOptions, createApp, type ServeApp } from "./app.ts";
import type { ServeEvent } from "./events.ts";
import { AdapterFolder } from "./folder.ts";
import { readKeys } from "./keys.ts";
import { type Listening, type ListenOptions, listen } from "./listen.ts";

/** A server of the adapters in a folder. */
export interface ServerOptions
  extends Omit<AppOptions, "pool" | "backbone" | "keys" | "supply">,
    ListenOptions,
    Pick<PredictorPoolOptions, "precision"> {
  readonly backbone: Backbone;
  /** Holds a folder for each adapter. */
  readonly adapters: string;
  /** File of keys, read again when it changes; `anyone` for a server without. */
  readonly keys: { readonly file: string } | "anyone";
  /** Bytes of adapters in memory at most. Default: no limit. */
  readonly adapterMemory?: number;
  /** Adapters that are read at once and stay. */
  readonly pin?: readonly string[];
  /** Milliseconds between two looks at the folder. Default 5000. */
  readonly pollMs?: number;
  /** Port of the admin API, on loopback only; default: none. */
  readonly adminPort?: number;
}

/** A server that runs. */
export interface RunningServer {
  readonly url: string;
  /** Of the admin API. */
  readonly adminUrl?: string;
  /**
   * Says that it is not ready, answers what it has taken, and ends; what is not answered within the grace is cut.
   * @returns how many connections were cut
   */
  close(graceMs?: number): Promise<number>;
}

/** A server whose grace is not told. */
const usualGraceMs = 30_000;

/**
 * Serves the adapters of a folder; the backbone stays the caller's.
 * @throws OPTION_INVALID about the folder, the keys or the port
 * @example
 * const adapters = "./adapters";
 * const server = await startServer({ backbone: await loadBackbone("minilm"), adapters, keys: "anyone", port: 0 });
 * await fetch(`${server.url}/v2/health/ready`);
 * await server.close();
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { backbone, keys, adapterMemory, precision, onEvent, pollMs = 5000, pin = [] } = options;
  await using opened = new Resources();
  const stored = keys === "anyone" ? keys : await readKeys(keys.file);
  const keysText = keys === "anyone" ? "" : await readFile(keys.file, "utf8");
  const pool = opened.use(
    await createPredictorPool(backbone, {
      ...(adapterMemory !== undefined && { maxBytes: adapterMemory }),
      ...(precision && { precision }),
    }),
  );
  let app: ServeApp;
  const folder = opened.use(
    new AdapterFolder({
      ...{ folder: options.adapters, pool, backbone, pollMs },
      onEvent: (event) => {
        app.noteLoad(event);
        onEvent?.(event);
      },
    }),
  );
  app = createApp({
    ...options,
    pool,
    backbone: backbone.id,
    keys: stored,
    supply: folder,
    isStarting: true,
  });
  const listening = await listen(app.fetch, options);
  let admin: Listening | undefined;
  const shut = async (graceMs: number): Promise<number> => {
    const ends = await Promise.all([listening.close(graceMs), admin?.close(graceMs) ?? 0]);
    return ends[0] + ends[1];
  };
  try {
    if (options.adminPort !== undefined) {
      admin = await listen(app.admin, { host: "127.0.0.1", port: options.adminPort });
    }
    await folder.start();
    for (const name of pin) await pool.add(name, folder.sourceOf(name), { pinned: true });
  } catch (error) {
    await shut(0);
    throw error;
  }
  if (keys !== "anyone") opened.defer(watchKeys(keys.file, keysText, pollMs, app, onEvent));
  app.open();
  onEvent?.({ type: "listening", url: listening.url, ...(admin && { admin: admin.url }) });
  const { length } = pool.list();
  onEvent?.({ type: "ready", adapters: length, failed: folder.refused().length });
  const owned = opened.move();
  let closing: Promise<number> | undefined;
  return {
    url: listening.url,
    ...(admin && { adminUrl: admin.url }),
    close: (graceMs = usualGraceMs) => {
      closing ??= (async () => {
        onEvent?.({ type: "draining", open: app.underWay });
        const drained = app.drain();
        const cut = await shut(graceMs);
        // What was cut is abandoned: nothing of it waits any more.
        await drained;
        await owned[Symbol.asyncDispose]();
        onEvent?.({ type: "stopped", cut });
        return cut;
      })();
      return closing;
    },
  };
}

/** Reads the keys again when their file changes. A file that is damaged changes nothing. @returns what ends it */
function watchKeys(
  file: string,
  initial: string,
  pollMs: number,
  app: ServeApp,
  onEvent: ((event: ServeEvent) => void) | undefined,
): () => void {
  let last = initial;
  const timer = setInterval(async () => {
    try {
      const text = await readFile(file, "utf8");
      if (text === last) return;
      last = text;
      app.setKeys(await readKeys(file));
    } catch (error) {
      const shown =
        error instanceof PtuningError ? error : new PtuningError("OPTION_INVALID", "keys: cannot be read.");
      onEvent?.({ type: "defect", error: shown });
    }
  }, pollMs);
  timer.unref();
  return () => clearInterval(timer);
}
