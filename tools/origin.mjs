/** What a committed figure says of where it comes from. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

const git = (...command) => spawnSync("git", command, { cwd: root, encoding: "utf8" }).stdout.trim();

/** The commit of the working tree. */
export const commit = () => git("rev-parse", "--short", "HEAD");

/** The same, and whether src/ differs from it. */
export const commitOfSources = () =>
  commit() + (git("status", "--porcelain", "src") === "" ? "" : "+changes");

/** Version of ONNX Runtime. */
export const onnxruntimeVersion = () =>
  JSON.parse(readFileSync(join(root, "node_modules/onnxruntime-node/package.json"), "utf8")).version;
