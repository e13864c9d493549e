import { execFile } from "node:child_process";
import { statfs } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import { promisify } from "node:util";
import { listCachedBackbones } from "../../backbones/index.ts";
import { floats, messageOf } from "../../core/index.ts";
import { describeMachine, nodeEngine } from "../../engine/index.ts";
import {
  askHub,
  cacheFolder,
  expectWritable,
  isOffline,
  makeFolder,
  packageVersion,
} from "../../files/index.ts";
import { GraphBuilder } from "../../graph/index.ts";
import { formatBytes } from "../../report/index.ts";
import { exitCodes } from "../exit.ts";
import { print, printJson, style } from "../terminal.ts";

interface Check {
  readonly name: string;
  readonly state: "ok" | "note" | "problem";
  readonly detail: string;
}

const run = promisify(execFile);

export async function doctor({ json }: { readonly json?: boolean }): Promise<void> {
  const checks = await Promise.all([
    node(),
    engine(),
    cpu(),
    memory(),
    cache(),
    python(),
    hub(),
    tokenizer(),
  ]);
  if (json) printJson(checks);
  else {
    const marks = {
      ok: style("green", "ok     "),
      note: style("yellow", "note   "),
      problem: style("red", "problem"),
    };
    for (const { name, state, detail } of checks) print(`${marks[state]}  ${name.padEnd(10)} ${detail}`);
  }
  if (checks.some(({ state }) => state === "problem")) process.exitCode = exitCodes.failed;
}

async function node(): Promise<Check> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isEnough = major > 20 || (major === 20 && minor >= 19);
  const detail = `${process.versions.node}, ptuning ${packageVersion()}, ${process.platform} ${process.arch}`;
  return {
    name: "node",
    state: isEnough ? "ok" : "problem",
    detail: isEnough ? detail : `${detail}: needs 20.19 or newer`,
  };
}

/** Loads the native runtime and multiplies two numbers with it. */
async function engine(): Promise<Check> {
  // As runs have it.
  const runtime = nodeEngine();
  try {
    const b = new GraphBuilder("doctor");
    b.output("y", b.op("Mul", [b.input("x", "float32", [1]), b.scalar(2)]));
    const session = await runtime.compile(b.build());
    const { y } = await session.run({ x: floats([1], [21]) });
    return { name: "engine", state: y!.data[0] === 42 ? "ok" : "problem", detail: runtime.name };
  } catch (error) {
    return { name: "engine", state: "problem", detail: messageOf(error) };
  } finally {
    await runtime.close();
  }
}

async function cpu(): Promise<Check> {
  return { name: "cpu", state: "ok", detail: describeMachine() };
}

async function memory(): Promise<Check> {
  const state = totalmem() < 2e9 ? "note" : "ok";
  return { name: "memory", state, detail: `${formatBytes(freemem())} free of ${formatBytes(totalmem())}` };
}

async function cache(): Promise<Check> {
  const folder = cacheFolder();
  const cached = await listCachedBackbones().catch(() => []);
  const holds = `${cached.length} ${cached.length === 1 ? "backbone" : "backbones"}`;
  try {
    await makeFolder(folder);
    await expectWritable(folder);
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    const detail = `${folder}: ${holds}, ${formatBytes(free)} free on disk`;
    return { name: "cache", state: free < 1e9 ? "note" : "ok", detail };
  } catch (error) {
    // What is there can be used.
    const state = cached.length > 0 ? "note" : "problem";
    const detail = `${holds}; ${messageOf(error)} Set PTUNING_CACHE to another folder.`;
    return { name: "cache", state, detail };
  }
}

async function python(): Promise<Check> {
  try {
    const { stdout } = await run("python3", ["-m", "pip", "--version"]);
    return {
      name: "python",
      state: "ok",
      detail: `${stdout.trim().replace(/ from .*\(/, " (")}: one source of backbones`,
    };
  } catch {
    return {
      name: "python",
      state: "note",
      detail: "no Python 3 with pip: backbones come from the hub or from folders only",
    };
  }
}

async function hub(): Promise<Check> {
  const instead = "backbones come from caches, pip or folders";
  if (isOffline()) return { name: "hub", state: "note", detail: `HF_HUB_OFFLINE is set: ${instead}` };
  const { address, status } = await askHub();
  return typeof status === "number"
    ? { name: "hub", state: status < 500 ? "ok" : "note", detail: `${address} answers (${status})` }
    : { name: "hub", state: "note", detail: `${address} does not answer (${status}): ${instead}` };
}

async function tokenizer(): Promise<Check> {
  try {
    await import("tokenizers");
    return { name: "tokenizer", state: "ok", detail: "native library loads" };
  } catch (error) {
    return { name: "tokenizer", state: "problem", detail: messageOf(error) };
  }
}
