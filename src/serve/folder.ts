import { type FSWatcher, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Adapter, attach, readAdapter } from "../adapters/index.ts";
import type { Backbone } from "../backbones/index.ts";
import { messageOf, PtuningError } from "../core/index.ts";
import type { PooledTask, PredictorPool } from "../predict/index.ts";
import { labelsOf } from "../tasks/index.ts";
import { type AdapterNotes, type AdapterSupply, unknownAdapter } from "./adapters.ts";
import type { AdapterEvent } from "./events.ts";

/** Which folder, and how it is watched. */
export interface AdapterFolderOptions {
  /** Holds a folder for each adapter, or for each run; its name is the adapter's. */
  readonly folder: string;
  readonly pool: PredictorPool;
  readonly backbone: Backbone;
  /** Milliseconds between two looks, whatever the system tells of changes: of network disks it tells nothing. */
  readonly pollMs: number;
  readonly onEvent?: (event: AdapterEvent) => void;
}

/** An adapter as it was last seen. */
interface Known {
  /** Where its files are. */
  readonly source: string;
  /** Changes when the files do. */
  readonly signature: string;
  /** Taken out by hand: only a change brings it back. */
  isOut?: boolean;
}

const namePattern = /^\w[\w.-]{0,127}$/;
/** Files by which changes are seen. */
const tellingFiles = [
  "ptuning.json",
  "adapter_config.json",
  "adapter_model.safetensors",
  "model.safetensors",
];
/** Folders that are looked at together. */
const looksAtOnce = 64;
/** After a change is told, the rest of it may come. */
const settleMs = 100;
/** Between two adapters that are read only to know what they are. */
const surveyPauseMs = 5;

/**
 * The adapters of a folder, as it is: what comes is added and read when it is first asked, what changes is replaced as a whole,
 * what goes is taken out. Whatever cannot be served is listed with the reason.
 */
export class AdapterFolder implements AdapterSupply, AsyncDisposable {
  readonly #options: AdapterFolderOptions;
  readonly #folder: string;
  readonly #known = new Map<string, Known>();
  readonly #notes = new Map<string, AdapterNotes>();
  readonly #refused = new Set<string>();
  /** What is being done with adapters, one thing at a time. */
  readonly #busy = new Map<string, Promise<void>>();
  #watcher: FSWatcher | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #scanning: Promise<void> = Promise.resolve();
  #surveying: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: AdapterFolderOptions) {
    this.#options = options;
    this.#folder = resolve(options.folder);
  }

  /**
   * Looks for the first time, and goes on looking until it is closed.
   * @throws OPTION_INVALID if there is no such folder
   */
  async start(): Promise<void> {
    const isFolder = await stat(this.#folder).then(
      (status) => status.isDirectory(),
      () => false,
    );
    if (!isFolder) {
      throw new PtuningError("OPTION_INVALID", `adapters: expected a folder, got ${this.#options.folder}.`);
    }
    await this.scan();
    try {
      this.#watcher = watch(this.#folder, () => this.#soon(settleMs));
      // Where watching ends, looking goes on.
      this.#watcher.on("error", () => this.#watcher?.close());
      this.#watcher.unref();
    } catch {
      // Likewise where it cannot begin.
    }
    this.#soon(this.#options.pollMs);
    this.#surveying = this.#survey();
  }

  /** Where the files of an adapter are. @throws ADAPTER_UNKNOWN */
  sourceOf(name: string): string {
    const known = this.#known.get(name);
    if (known === undefined) throw unknownAdapter(name);
    return known.source;
  }

  about(name: string): AdapterNotes | undefined {
    return this.#notes.get(name);
  }

  refused(): readonly string[] {
    return [...this.#refused];
  }

  async load(name: string): Promise<void> {
    await this.#alone(name, async () => {
      const source = namePattern.test(name) ? await sourceOf(join(this.#folder, name)) : undefined;
      if (source === undefined) throw unknownAdapter(name);
      const signature = await signatureOf(source);
      await this.#read(name, source);
      this.#known.set(name, { source, signature });
    });
  }

  async ensure(name: string): Promise<void> {
    for (let other = this.#busy.get(name); other; other = this.#busy.get(name)) await other.catch(() => {});
    const known = this.#known.get(name);
    const adapter = this.#options.pool.get(name);
    if (known === undefined || known.isOut || adapter === undefined) throw unknownAdapter(name);
    if (adapter.tasks.length > 0) return;
    await this.#alone(name, () => this.#read(name, known.source));
  }

  async unload(name: string): Promise<void> {
    await this.#alone(name, async () => {
      const known = this.#known.get(name);
      if (known === undefined || known.isOut) throw unknownAdapter(name);
      known.isOut = true;
      await this.#options.pool.remove(name);
      this.#options.onEvent?.({ type: "adapter-removed", name });
    });
  }

  /** Takes over what has changed since the last look. */
  scan(): Promise<void> {
    const scan = this.#scanning.then(() => this.#scan());
    this.#scanning = scan.catch(() => {});
    return scan;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#watcher?.close();
    await Promise.allSettled([this.#scanning, this.#surveying]);
  }

  #soon(delay: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      // A look that fails says nothing: the folder may be away for a while.
      this.scan()
        .catch(() => {})
        .finally(() => this.#soon(this.#options.pollMs));
    }, delay);
    this.#timer.unref();
  }

  async #scan(): Promise<void> {
    const entries = await readdir(this.#folder, { withFileTypes: true });
    const names = entries
      .filter((entry) => !entry.name.startsWith(".") && (entry.isDirectory() || entry.isSymbolicLink()))
      .map(({ name }) => name);
    const there = new Set<string>();
    for (let start = 0; start < names.length; start += looksAtOnce) {
      const part = names.slice(start, start + looksAtOnce);
      await Promise.all(part.map(async (name) => (await this.#look(name)) && there.add(name)));
    }
    for (const name of [...this.#known.keys(), ...this.#refused]) {
      if (there.has(name) || this.#busy.has(name)) continue;
      const known = this.#known.get(name);
      this.#known.delete(name);
      this.#refused.delete(name);
      this.#notes.delete(name);
      if (known === undefined || known.isOut) continue;
      await this.#options.pool.remove(name);
      this.#options.onEvent?.({ type: "adapter-removed", name });
    }
  }

  /** Takes over one folder. @returns whether it is there */
  async #look(name: string): Promise<boolean> {
    const source = await sourceOf(join(this.#folder, name));
    if (source === undefined) return false;
    if (!namePattern.test(name)) {
      this.#refuse(name, "name: expected letters, digits and . _ - (1 to 128 of them).");
      return true;
    }
    if (this.#busy.has(name)) return true;
    const signature = await signatureOf(source);
    const known = this.#known.get(name);
    if (known?.signature === signature && known.source === source) return true;
    const { pool, onEvent } = this.#options;
    await this.#alone(name, async () => {
      this.#known.set(name, { source, signature });
      this.#notes.delete(name);
      // What answers goes on answering until its successor is whole.
      if (pool.get(name)?.state === "ready") await this.#read(name, source).catch(() => {});
      else {
        await pool.add(name, source, { lazy: true });
        onEvent?.({ type: "adapter-listed", name });
      }
    }).catch(() => {});
    return true;
  }

  #refuse(name: string, reason: string): void {
    if (this.#refused.has(name)) return;
    this.#refused.add(name);
    this.#notes.set(name, { tasks: [], reason });
    this.#options.onEvent?.({ type: "adapter-failed", name, reason });
  }

  async #read(name: string, source: string): Promise<void> {
    const { pool, onEvent } = this.#options;
    const begun = performance.now();
    try {
      await pool.add(name, source, { pinned: pool.get(name)?.pinned === true });
      this.#notes.delete(name);
      onEvent?.({ type: "adapter-loaded", name, milliseconds: performance.now() - begun });
    } catch (error) {
      const reason = this.#told(error);
      if (pool.get(name)?.state !== "ready") this.#notes.set(name, { tasks: [], reason });
      onEvent?.({ type: "adapter-failed", name, reason });
      if (!(error instanceof PtuningError)) throw error;
      throw new PtuningError(error.code, reason, error.hint === undefined ? {} : { hint: error.hint });
    }
  }

  /** A message without the server's paths. */
  #told(error: unknown): string {
    return messageOf(error).replaceAll(`${this.#folder}/`, "");
  }

  /** @throws ADAPTER_CONFLICT if something else is done with the adapter */
  async #alone(name: string, work: () => Promise<void>): Promise<void> {
    if (this.#busy.has(name)) {
      throw new PtuningError(
        "ADAPTER_CONFLICT",
        `adapter "${name}": expected nothing else to be done with it, got another load or unload.`,
      );
    }
    const done = work().finally(() => this.#busy.delete(name));
    this.#busy.set(name, done);
    await done;
  }

  /** Says of adapters that nobody has asked yet what they are, without keeping them. */
  async #survey(): Promise<void> {
    for (const [name, { source, signature }] of [...this.#known]) {
      await new Promise((resolve) => setTimeout(resolve, surveyPauseMs).unref());
      if (this.#isClosed) return;
      const isAsked = this.#options.pool.get(name)?.state !== "unloaded";
      if (isAsked || this.#notes.has(name)) continue;
      const notes = await this.#notesOf(name, source);
      if (
        this.#known.get(name)?.signature !== signature ||
        this.#options.pool.get(name)?.state !== "unloaded"
      )
        continue;
      this.#notes.set(name, notes);
      const { reason } = notes;
      if (reason !== undefined) this.#options.onEvent?.({ type: "adapter-failed", name, reason });
    }
  }

  async #notesOf(name: string, source: string): Promise<AdapterNotes> {
    try {
      const saved = await readAdapter(source);
      const heads: [string, Adapter][] =
        saved instanceof Adapter
          ? [[name, saved]]
          : Object.keys(saved.heads).map((head) => [`${name}:${head}`, saved.head(head)]);
      const tasks = heads.map(([id, adapter]): PooledTask => {
        attach(adapter, this.#options.backbone);
        const { task, maxLength } = adapter;
        return { name: id, task, labels: labelsOf(task), maxLength };
      });
      return { tasks, method: saved.method.name };
    } catch (error) {
      return { tasks: [], reason: this.#told(error) };
    }
  }
}

/** Where the files of an adapter are: in its folder, or in the `adapter` folder of a run. Nothing where there is no folder. */
async function sourceOf(folder: string): Promise<string | undefined> {
  const isFolder = (path: string): Promise<boolean> =>
    stat(path).then(
      (status) => status.isDirectory(),
      () => false,
    );
  if (!(await isFolder(folder))) return undefined;
  const inside = join(folder, "adapter");
  return (await isFolder(inside)) ? inside : folder;
}

/** Changes when the files of an adapter do. */
async function signatureOf(source: string): Promise<string> {
  const parts = await Promise.all(
    tellingFiles.map((file) =>
      stat(join(source, file)).then(
        ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`,
        () => "",
      ),
    ),
  );
  return parts.join("|");
}
