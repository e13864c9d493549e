#!/usr/bin/env node
/**
 * Runs a reference program in a Python environment of its own, made on first use:
 *   node tools/reference/run.mjs make_ops.py
 * The environment lies under .cache/ and is keyed by requirements.txt and wheels.txt.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const requirements = join(here, "requirements.txt");
const wheels = join(here, "wheels.txt");
const pins = [requirements, wheels].map((file) => readFileSync(file, "utf8"));
const key = createHash("sha256").update(pins.join("")).digest("hex").slice(0, 12);
const folder = join(here, "../../.cache", `reference-${key}`);
const python = join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");

/** Where the environment is, or would be. */
export const referenceEnvironment = { folder, python };

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", ...options });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** The interpreter of the environment; makes the environment where it is missing. */
export function referencePython() {
  const ready = join(folder, "ready");
  if (!existsSync(ready)) {
    const quiet = { stdio: ["ignore", "ignore", "inherit"] };
    run(process.platform === "win32" ? "python" : "python3", ["-m", "venv", folder], quiet);
    const options = ["--quiet", "--disable-pip-version-check"];
    const pip = ["-m", "pip", "install", ...options];
    // torch first: the pinned CPU build satisfies what the others ask for.
    run(python, [...pip, pins[0].match(/^torch==.*$/m)[0]], quiet);
    run(python, [...pip, "-r", requirements], quiet);
    const hashed = ["--no-deps", "--require-hashes", "-r", wheels, "--dest", join(folder, "wheels")];
    run(python, ["-m", "pip", "download", ...options, ...hashed], quiet);
    writeFileSync(ready, "");
  }
  return python;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [script, ...args] = process.argv.slice(2);
  if (script === undefined) {
    console.error("usage: node tools/reference/run.mjs SCRIPT.py [arguments] | --prepare");
    process.exit(2);
  }
  if (script === "--prepare") {
    referencePython();
    process.exit(0);
  }
  run(referencePython(), [join(here, script), ...args], {
    env: {
      ...process.env,
      TRANSFORMERS_VERBOSITY: "error",
      HF_HUB_OFFLINE: "1",
      TOKENIZERS_PARALLELISM: "false",
    },
  });
}
