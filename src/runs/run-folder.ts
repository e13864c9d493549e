import { createWriteStream, type WriteStream } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MultiTaskAdapter, type SavedAdapter } from "../adapters/index.ts";
import { type AnyRunConfig, formatConfig, parseRunConfig, redact, refuseSecrets } from "../config/index.ts";
import { PtuningError, pathWord, shellCommand } from "../core/index.ts";
import {
  asUnwritable,
  expectOwnFolder,
  holdFolder,
  isHeldElsewhere,
  readText,
  sweepTemporaries,
  writeFileAtomic,
} from "../files/index.ts";
import type { RunResult } from "../report/index.ts";
import { readState, type TrainEvent, type TrainingState } from "../train/index.ts";
import { openEventFile, scalarsOf, withPrefix } from "./event-file.ts";
import { cutRunLog } from "./log.ts";
import { names } from "./names.ts";
import { beginRun, finishReplacement, holdsRun, isReplaced } from "./replace.ts";

/** A run on disk: its configuration, the log of its events, a state to resume from, and its results. */
export interface RunFolder {
  readonly folder: string;
  readonly config: AnyRunConfig;
  /** Where the run stood when it was last saved, if it was. */
  readonly state: TrainingState | undefined;
  /** What its log lacks, for people; a run goes on without it. */
  readonly problems: readonly string[];
  /** Folder of the adapter, written by {@link finish}. */
  readonly adapterFolder: string;
  /** Where a linear probe is saved that is better. */
  readonly probeFolder: string;
  /** Appends to the log; checkpoints are saved, and the final adapter. */
  record(event: TrainEvent<SavedAdapter>): Promise<void>;
  /** Writes the results; the training state goes, as the run is complete, unless it is to be kept. */
  finish(result: RunResult): Promise<void>;
  /** Gives the folder free. */
  close(): Promise<void>;
}

/**
 * Refuses a folder that holds a run already, or anything else that is not ours.
 * @throws OUTPUT_EXISTS
 */
export async function expectNoRun(folder: string): Promise<void> {
  if (!(await expectRunOrNothing(folder))) return;
  const status = await runStatus(folder);
  throw new PtuningError("OUTPUT_EXISTS", `${folder}: expected no run there, got a ${status} one.`, {
    hint:
      status === "unfinished"
        ? `Continue it with: ${shellCommand("ptuning", "train", "--resume", pathWord(folder))}\nOr start over with --overwrite.`
        : "Choose another --output, or replace it with --overwrite.",
  });
}

/**
 * Refuses a folder that holds anything but a run.
 * @returns whether it holds a run
 * @throws OUTPUT_EXISTS
 */
export function expectRunOrNothing(folder: string): Promise<boolean> {
  return expectOwnFolder(folder, { what: "a run", traces: [names.lock], isOurs: () => holdsRun(folder) });
}

/**
 * Starts a run in a new folder, or in that of an earlier one, whose files go; others stay. Whenever the process is
 * killed, the folder holds the earlier run or the new one.
 * @throws OUTPUT_EXISTS if the folder holds a run already, unless that is to be overwritten, or anything else;
 *   LOCKED if another process uses it; CONFIG_INVALID if folder or configuration hold a secret
 */
export async function createRun(folder: string, config: AnyRunConfig, overwrite = false): Promise<RunFolder> {
  refuseSecrets({ ...config, output: folder }, () => "run");
  const expect = (): Promise<unknown> => (overwrite ? expectRunOrNothing : expectNoRun)(folder);
  return holdFolder(folder, { ...held, expect }, async (release) => {
    await beginRun(folder, formatConfig(config));
    return openLocked(folder, config, undefined, release);
  });
}

/**
 * Opens an unfinished run to go on with it; events behind the saved state are cut from the log.
 * @throws RUN_INVALID if there is none or it is finished; LOCKED if another process uses it
 */
export async function resumeRun(folder: string): Promise<RunFolder> {
  const status = await runStatus(folder);
  if (status !== "unfinished") {
    const hint =
      status === "finished" ? `Its adapter is in ${join(folder, names.adapter)}.` : "Check the path.";
    throw new PtuningError(
      "RUN_INVALID",
      `${folder}: expected an unfinished run, got ${status === "none" ? "no run" : "a finished one"}.`,
      { hint },
    );
  }
  return holdFolder(folder, held, async (release) => {
    await finishReplacement(folder);
    await sweepTemporaries(folder, { isSole: true });
    const config = await readRunConfig(folder);
    const hasState = await exists(join(folder, names.state));
    const state = hasState ? await readState(join(folder, names.state)) : undefined;
    const problems = await cutRunLog(folder, state?.step ?? 0);
    return openLocked(folder, config, state, release, problems);
  });
}

/**
 * The configuration that a run has or had.
 * @throws RUN_INVALID if the folder holds no run
 */
export async function readRunConfig(folder: string): Promise<AnyRunConfig> {
  const path = join(folder, (await isReplaced(folder)) ? names.next : names.config);
  const text = await readText(path).catch((cause: unknown) => {
    throw new PtuningError("RUN_INVALID", `${folder}: expected a run, got no ${names.config} there.`, {
      hint: "Check the path.",
      cause,
    });
  });
  return parseRunConfig({ text, where: path });
}

/** What a finished run came to; nothing where it is not finished. */
export async function readRunResult(folder: string): Promise<RunResult | undefined> {
  if (await isReplaced(folder)) return undefined;
  const text = await readFile(join(folder, names.result), "utf8").catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

/** Whether a folder holds a run, and whether it is complete. */
export async function runStatus(folder: string): Promise<"none" | "unfinished" | "finished"> {
  const files = await readdir(folder).catch((): string[] => []);
  if (files.includes(names.next)) return "unfinished";
  if (!files.includes(names.config)) return "none";
  return files.includes(names.result) ? "finished" : "unfinished";
}

/** Whether a process of another machine has the run, of which nobody here can tell whether it still works on it. */
export function isRunElsewhere(folder: string): Promise<boolean> {
  return isHeldElsewhere(join(folder, names.lock));
}

const held = { what: "run folder", lock: names.lock } as const;

async function openLocked(
  folder: string,
  config: AnyRunConfig,
  state: TrainingState | undefined,
  release: () => Promise<void>,
  problems: readonly string[] = [],
): Promise<RunFolder> {
  const scalars = config.report.tensorboard
    ? await openEventFile(join(folder, names.scalars), (state?.step ?? 0) + 1)
    : undefined;
  const log = createWriteStream(join(folder, names.events), { flags: "a" });
  const failure = new Promise<never>((_, reject) => log.on("error", reject));
  failure.catch(() => {});
  const [adapterFolder, probeFolder] = [join(folder, names.adapter), join(folder, names.probe)];
  return {
    folder,
    config,
    state,
    problems,
    adapterFolder,
    probeFolder,
    async record(event) {
      if (event.type === "checkpoint") {
        await event.save(join(folder, names.state));
        return;
      }
      await Promise.race([append(log, `${JSON.stringify(redact(plain(event)))}\n`), failure]).catch(
        (cause) => {
          throw asUnwritable(join(folder, names.events), cause);
        },
      );
      if ("step" in event) await scalars?.write(event.step, scalarsOf(event));
      if (event.type !== "done" || event.reason === "aborted") return;
      const { adapter } = event;
      await adapter.save(adapterFolder);
      await event.alternative?.adapter.save(probeFolder);
      if (config.report.split && adapter instanceof MultiTaskAdapter)
        await adapter.split(join(folder, names.adapters));
    },
    async finish(result) {
      await writeFileAtomic(join(folder, names.result), `${JSON.stringify(redact(result), null, 2)}\n`);
      await scalars?.write(result.steps, withPrefix("test", result.test ?? {}));
      if (!config.report.state) await rm(join(folder, names.state), { force: true });
    },
    async close() {
      await new Promise<void>((resolve) => log.end(() => resolve()));
      await scalars?.close();
      await release();
    },
  };
}

/** Events without the adapter's tensors. */
function plain(event: TrainEvent<SavedAdapter>): object {
  if (event.type !== "done") return event;
  const { adapter, alternative, ...rest } = event;
  return { ...rest, ...(alternative && { alternative: alternative.evaluation }) };
}

function append(log: WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => log.write(text, (error) => (error ? reject(error) : resolve())));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
