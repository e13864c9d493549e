/** Makes a bare clone ready: checks Node, installs what the lock file says, builds. Quick where nothing changed. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function run(title, command, args) {
  const started = Date.now();
  process.stdout.write(`${title} … `);
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (status !== 0) {
    console.log("failed");
    console.error([error?.message, stdout, stderr].filter(Boolean).join("\n"));
    process.exit(status ?? 1);
  }
  console.log(`${((Date.now() - started) / 1000).toFixed(0)} s`);
}

/** Installs dependencies if the lock file changed since the last time, then builds. */
export function prepare() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    console.error(`Node: expected 20.19 or newer, got ${process.versions.node}. See https://nodejs.org`);
    process.exit(1);
  }
  const marker = join(root, "node_modules", ".ptuning-lock");
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const installed = existsSync(marker) && readFileSync(marker, "utf8") === lock;
  if (!installed) {
    // Not `npm ci`: it insists on the optional binaries of every other platform, which not every registry has.
    run("installing dependencies", "npm", ["install", "--no-save", "--no-audit", "--no-fund"]);
    mkdirSync(dirname(marker), { recursive: true });
    writeFileSync(marker, lock);
  }
  run("building", "npm", ["run", "--silent", "build"]);
}
