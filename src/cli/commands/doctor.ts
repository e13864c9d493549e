import { execFile } from "node:child_process";
import { access, constants, mkdir, readFile, statfs } from "node:fs/promises";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { promisify } from "node:util";
import { listCachedBackbones } from "../../backbones/index.ts";
import { floats, messageOf } from "../../core/index.ts";
import { nodeEngine } from "../../engine/index.ts";
import { cacheFolder, packageVersion } from "../../files/index.ts";
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

/** The hub gets this long to answer. */
const hubTimeoutMs = 5_000;

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
  const runtime = nodeEngine({ threads: 1 });
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
  const flags =
    /^flags\s*:(.*)$/m.exec(await readFile("/proc/cpuinfo", "utf8").catch(() => ""))?.[1]?.split(" ") ?? [];
  const known = ["avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "avx512_bf16", "asimddp"];
  const found = known.filter((flag) => flags.includes(flag));
  const detail = `${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}${found.length > 0 ? ` (${found.join(", ")})` : ""}`;
  return { name: "cpu", state: "ok", detail };
}

async function memory(): Promise<Check> {
  const state = totalmem() < 2e9 ? "note" : "ok";
  return { name: "memory", state, detail: `${formatBytes(freemem())} free of ${formatBytes(totalmem())}` };
}

async function cache(): Promise<Check> {
  const folder = cacheFolder();
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    const cached = await listCachedBackbones();
    const free = bavail * bsize;
    const detail = `${folder}: ${cached.length} backbones, ${formatBytes(free)} free on disk`;
    return { name: "cache", state: free < 1e9 ? "note" : "ok", detail };
  } catch (error) {
    return {
      name: "cache",
      state: "problem",
      detail: `${folder}: ${messageOf(error)}. Set PTUNING_CACHE to another folder.`,
    };
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
  const url = process.env.HF_ENDPOINT || "https://huggingface.co";
  try {
    const { status } = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(hubTimeoutMs) });
    return { name: "hub", state: status < 500 ? "ok" : "note", detail: `${url} answers (${status})` };
  } catch {
    return {
      name: "hub",
      state: "note",
      detail: `${url} does not answer: backbones come from caches, pip or folders`,
    };
  }
}

async function tokenizer(): Promise<Check> {
  try {
    await import("tokenizers");
    return { name: "tokenizer", state: "ok", detail: "native library loads" };
  } catch (error) {
    return { name: "tokenizer", state: "problem", detail: messageOf(error) };
  }
}
