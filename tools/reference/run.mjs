#!/usr/bin/env node
/**
 * Runs a reference program in a Python environment of its own, made on first use:
 *   node tools/reference/run.mjs make_ops.py
 *   node tools/reference/run.mjs --tokenizers make_tokenizers.py
 * Environments lie under .cache/ and are keyed by their pins: requirements.txt and wheels.txt; for tokenizers, whose
 * references are of an older transformers, requirements-tokenizers.txt; and for each of the libraries that
 * tools/quality.mjs measures, requirements-NAME.txt.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

function environment(prefix, requirements, wheels) {
  const pins = [requirements, wheels]
    .flatMap((file) => file ?? [])
    .map((file) => readFileSync(join(here, file), "utf8"));
  const key = createHash("sha256").update(pins.join("")).digest("hex").slice(0, 12);
  const folder = join(here, "../../.cache", `${prefix}-${key}`);
  const python = join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  // torch first: the pinned CPU build satisfies what the others ask for.
  const first = pins[0].match(/^torch==.*$/m)?.[0];
  return { folder, python, requirements, wheels, first };
}

const environments = {
  usual: environment("reference", "requirements.txt", "wheels.txt"),
  tokenizers: environment("reference-tokenizers", "requirements-tokenizers.txt"),
};

/** Environments that are made when they are asked for alone. */
const rivals = Object.fromEntries(
  ["setfit", "lora", "fine-tuning", "linear"].map((name) => [
    name,
    environment(`rival-${name}`, `requirements-${name}.txt`),
  ]),
);

/** Where the usual environment is, or would be. */
export const referenceEnvironment = environments.usual;

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", ...options });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** The interpreter of an environment; makes the environment where it is missing. */
export function referencePython(name = "usual") {
  const { folder, python, requirements, wheels, first } = { ...environments, ...rivals }[name];
  const ready = join(folder, "ready");
  if (!existsSync(ready)) {
    const quiet = { stdio: ["ignore", "ignore", "inherit"] };
    run(process.platform === "win32" ? "python" : "python3", ["-m", "venv", folder], quiet);
    const options = ["--quiet", "--disable-pip-version-check"];
    const pip = ["-m", "pip", "install", ...options];
    if (first !== undefined) run(python, [...pip, first], quiet);
    run(python, [...pip, "-r", join(here, requirements)], quiet);
    if (wheels !== undefined) {
      const hashed = [
        "--no-deps",
        "--require-hashes",
        "-r",
        join(here, wheels),
        "--dest",
        join(folder, "wheels"),
      ];
      run(python, ["-m", "pip", "download", ...options, ...hashed], quiet);
    }
    writeFileSync(ready, "");
  }
  return python;
}

/** What every reference program is told: nothing is downloaded, and only errors are said. */
const quietly = { HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error", TOKENIZERS_PARALLELISM: "false" };

/** @type {{ ask(request: object): Promise<object> } | undefined} */
let server;

/**
 * Runs a reference program of this folder that needs PyTorch, transformers or PEFT. They are imported once per process
 * of ours: alone they take longer than most programs. A program that fails, fails the call with what it said.
 * @returns what it wrote to standard output
 */
export async function runReference(script, ...args) {
  server ??= startServer();
  const { status, stdout, stderr } = await server.ask({ script: join(here, script), args });
  if (status !== 0) throw new Error(`${script} ended with ${status}: ${stderr}`);
  return stdout;
}

function startServer() {
  const child = spawn(referencePython(), [join(here, "serve.py")], {
    stdio: ["pipe", "pipe", "inherit"],
    // Threads that wait for one another do not take the cores from ours.
    env: { ...process.env, ...quietly, OMP_WAIT_POLICY: "passive" },
  });
  // Our process may end while it waits; it ends with its standard input.
  const parts = [child, child.stdin, child.stdout];
  for (const part of parts) part.unref();
  const waiting = [];
  const answers = createInterface({ input: child.stdout });
  answers.on("line", (line) => waiting.shift().resolve(JSON.parse(line)));
  child.on("close", (code) => {
    server = undefined;
    for (const { reject } of waiting) reject(new Error(`serve.py ended with ${code}`));
  });
  return {
    async ask(request) {
      for (const part of parts) part.ref();
      try {
        return await new Promise((resolve, reject) => {
          waiting.push({ resolve, reject });
          child.stdin.write(`${JSON.stringify(request)}\n`);
        });
      } finally {
        if (waiting.length === 0) for (const part of parts) part.unref();
      }
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isForTokenizers = process.argv[2] === "--tokenizers";
  const [script, ...args] = process.argv.slice(isForTokenizers ? 3 : 2);
  if (script === undefined) {
    console.error("usage: node tools/reference/run.mjs [--tokenizers] SCRIPT.py [arguments] | --prepare");
    process.exit(2);
  }
  if (script === "--prepare") {
    for (const name of Object.keys(environments)) referencePython(name);
    process.exit(0);
  }
  run(referencePython(isForTokenizers ? "tokenizers" : "usual"), [join(here, script), ...args], {
    env: { ...process.env, ...quietly },
  });
}
