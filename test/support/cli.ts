import { type ChildProcess, spawn } from "node:child_process";
import { repository } from "./requirements.ts";

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Another user. */
  readonly uid?: number;
  readonly gid?: number;
  /** Gets the process while it runs. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Runs the built command line as a user would. */
export function ptuning(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  // The name of the command that a shell ran: of the tests' own, who may run under nohup.
  const { _: __, ...inherited } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`${repository}dist/cli/main.js`, ...args], {
      cwd: options.cwd ?? repository,
      env: { ...inherited, ...options.env },
      ...(options.uid !== undefined && { uid: options.uid, gid: options.gid }),
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output.stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, ...output }));
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    options.onStart?.(child);
  });
}
