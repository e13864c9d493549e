/// <reference lib="esnext.disposable" preserve="true" />
import { Resources } from "./resources.ts";

/** Bytes that can be read at any place: a file on a disk, a file of a browser, a buffer. Nothing of it has to be closed. */
export interface ByteSource {
  /** For messages: a path, a URL, the name of an upload. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Absolute, symbolic links resolved, where it is a file of this machine: who maps files need not read them. */
  readonly path?: string;
  /**
   * @returns bytes of the caller's own
   * @throws FILE_INVALID if the range leaves the source
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** The same held open, for many reads; absent where nothing has to be opened. */
  open?(): Promise<OpenSource>;
}

/** A source that holds something open until it is closed. */
export interface OpenSource extends ByteSource, AsyncDisposable {
  close(): Promise<void>;
}

/** Reads a source many times. */
export async function withOpen<T>(source: ByteSource, use: (source: ByteSource) => Promise<T>): Promise<T> {
  if (source.open === undefined) return use(source);
  await using open = await source.open();
  return await use(open);
}

/** Reads many times from several sources: each is opened once. @param use gets the open source of each */
export async function withAllOpen<T>(
  sources: Iterable<ByteSource>,
  use: (openOf: (source: ByteSource) => ByteSource) => Promise<T>,
): Promise<T> {
  await using resources = new Resources();
  const opened = new Map<ByteSource, ByteSource>();
  for (const source of new Set(sources)) {
    if (source.open !== undefined) opened.set(source, resources.use(await source.open()));
  }
  return await use((source) => opened.get(source) ?? source);
}

/** The last part of a source's name. */
export function fileName({ name }: Pick<ByteSource, "name">): string {
  return name.split(/[\\/]/).at(-1)!;
}

/** Folders of this machine that hold sources: of those that are files. */
export function foldersOf(sources: Iterable<ByteSource>): Set<string> {
  const folders = new Set<string>();
  for (const { path } of new Set(sources)) {
    if (path !== undefined) folders.add(path.slice(0, -fileName({ name: path }).length));
  }
  return folders;
}
