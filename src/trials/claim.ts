import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "../core/index.ts";
import type { TrialOrigin } from "./result.ts";

/** A run of a trial: its folder inside the trial's, and the configuration that it is started with. */
export interface ClaimedRun {
  /** `run`, `run-2`, … */
  readonly run: string;
  readonly configPath: string;
}

/**
 * The run of a trial that is of an origin: the latest that is there, or a new one. Runs of other origins in the same
 * folder (other data, another version, a job that only bears the trial's id) are left as they are.
 * @param home folder of the trial
 * @param config what a new run starts with, as YAML
 */
export async function claimRun(home: string, origin: TrialOrigin, config: string): Promise<ClaimedRun> {
  const head = `# ${origin.identity} ${origin.version}\n`;
  for (;;) {
    const numbers = await runNumbers(home);
    for (const number of [...numbers].sort((a, b) => b - a)) {
      const text = await readFile(configOf(home, runName(number)), "utf8").catch(() => "");
      if (text.startsWith(head)) return claimed(home, number);
    }
    const next = Math.max(0, ...numbers) + 1;
    if (await writeNew(configOf(home, runName(next)), head + config)) return claimed(home, next);
  }
}

/** `run` for 1, `run-2` for 2. */
export function runName(number: number): string {
  return number === 1 ? "run" : `run-${number}`;
}

/** Where the configuration lies that a run is started with. */
export function configOf(home: string, run: string): string {
  return join(home, `${run.replace("run", "trial")}.yaml`);
}

function claimed(home: string, number: number): ClaimedRun {
  const run = runName(number);
  return { run, configPath: configOf(home, run) };
}

/** Numbers of runs that were begun or claimed there. */
async function runNumbers(home: string): Promise<Set<number>> {
  const found = (await readdir(home)).map((name) => /^(run|trial)(?:-(\d+))?(?:\.yaml)?$/.exec(name));
  return new Set(found.flatMap((match) => (match ? Number(match[2] ?? 1) : [])));
}

/** Of several processes one makes the file. */
async function writeNew(path: string, text: string): Promise<boolean> {
  try {
    const handle = await open(path, "wx");
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}
