import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, PtuningError, shown } from "../core/index.ts";
import { cacheFolder, type Environment, hashText, readJson, writeFileAtomic } from "../files/index.ts";

/** Other trials, or another native library, judge anew. */
const trialVersion = 1;
/** A process that takes no time of a core either is stuck. */
const wallSeconds = 18;

/** What came of trying a tokenizer: nothing wrong, or what is. */
interface Verdict {
  readonly error?: string;
  /** Whether another trial could end otherwise: the machine may have been busy. */
  readonly isPassing?: boolean;
}

/** How a tokenizer is judged. */
export interface TrustOptions {
  /** SHA-256 of definitions that need no trial. */
  readonly trusted?: readonly string[];
  readonly env?: Environment;
}

const known = new Map<string, Promise<Verdict>>();

/**
 * Makes sure that the native library can be given a tokenizer: one that is not known by its hash is tried once, in a
 * process of its own, and the verdict is kept in our cache.
 * @param definition content of a `tokenizer.json`
 * @throws BACKBONE_INVALID if the trial ended badly
 */
export async function expectSound(
  definition: string,
  where: string,
  { trusted = [], env }: TrustOptions = {},
): Promise<void> {
  const hash = hashText(definition);
  if (trusted.includes(hash)) return;
  const verdict = known.get(hash) ?? judge(definition, join(cacheFolder(env), "tokenizers"), hash);
  known.set(hash, verdict);
  const { error, isPassing } = await verdict;
  if (error === undefined) return;
  if (isPassing) known.delete(hash);
  throw new PtuningError("BACKBONE_INVALID", `${where}: tokenizer: expected a sound one, got: ${error}.`, {
    hint: isPassing
      ? "It was tried in a process of its own. If the machine was busy, try again; else take another copy of the backbone."
      : "It was tried in a process of its own: the file is damaged, or made to harm. Take another copy of the backbone.",
  });
}

async function judge(definition: string, folder: string, hash: string): Promise<Verdict> {
  const path = join(folder, `${hash}.json`);
  const kept = (await readJson(path).catch(() => undefined)) as (Verdict & { trial?: unknown }) | undefined;
  if (kept?.trial === trialVersion) return kept;
  const verdict = await trial(definition);
  if (verdict.isPassing) return verdict;
  // A cache that cannot be written costs another trial in the next process.
  await mkdir(folder, { recursive: true })
    .then(() => writeFileAtomic(path, `${JSON.stringify({ trial: trialVersion, ...verdict })}\n`))
    .catch(() => {});
  return verdict;
}

/** Signals of a process that its own code brought down. */
const crashes: readonly (string | null)[] = ["SIGABRT", "SIGFPE", "SIGSEGV", "SIGBUS", "SIGILL", "SIGTRAP"];

function trial(definition: string): Promise<Verdict> {
  // "#tokenizer-trial" is an entry of package.json: the process runs built code also when a test runs sources.
  const script = createRequire(import.meta.url).resolve("#tokenizer-trial");
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script], {
      cwd: tmpdir(),
      stdio: "pipe",
      env: { ...process.env, NODE_OPTIONS: "", ELECTRON_RUN_AS_NODE: "1" },
      windowsHide: true,
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] = (output[name] + text).slice(-4000);
      });
    const timer = setTimeout(() => child.kill("SIGKILL"), wallSeconds * 1000);
    const end = (verdict: Verdict): void => {
      clearTimeout(timer);
      resolve(verdict);
    };
    child.on("error", (cause) =>
      end({ error: `it could not be tried: ${messageOf(cause)}`, isPassing: true }),
    );
    child.on("close", (code, signal) => {
      if (code === 0) return end(answerOf(output.stdout));
      if (crashes.includes(signal) || signal === null)
        return end({ error: `the native library crashed on it (${signal ?? `code ${code}`})` });
      const why = /memory$/.test(output.stderr) ? "it takes too much memory" : "it takes too much time";
      return end({ error: why, isPassing: true });
    });
    // A process that died no longer reads.
    child.stdin.on("error", () => {});
    child.stdin.end(definition);
  });
}

function answerOf(text: string): Verdict {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return error === undefined ? {} : { error: shown(error, 300) };
  } catch {
    return { error: "no answer", isPassing: true };
  }
}
