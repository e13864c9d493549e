import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform } from "node:os";
import type { Int8Facts } from "./engine.ts";

/** What decides how this machine multiplies small integers. */
export interface CpuFacts {
  readonly x86: boolean;
  /** 8-bit products that accumulate in 32 bits (VNNI or AMX); without them x86 overflows in 16 bits. */
  readonly int8Dot: boolean;
  /** Names of the extensions found, for people. */
  readonly extensions: readonly string[];
}

const int8Extensions = ["avx512_vnni", "avx_vnni", "amx_int8"];
const otherExtensions = ["avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimddp", "i8mm"];

/** Reads the CPU's flags (Linux); elsewhere nothing is assumed. */
export function cpuFacts(): CpuFacts {
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(cpuInfo())?.[1]?.trim().split(/\s+/) ?? []);
  return {
    x86: arch() === "x64",
    int8Dot: int8Extensions.some((flag) => flags.has(flag)),
    extensions: [...otherExtensions, ...int8Extensions].filter((flag) => flags.has(flag)),
  };
}

/** What an engine that runs on this machine's CPU makes of integers: full 8-bit weights overflow on x86 without VNNI. */
export function int8Facts({ x86, int8Dot }: CpuFacts = cpuFacts()): Int8Facts {
  return { bits: x86 && !int8Dot ? 7 : 8, isFast: int8Dot };
}

/** The machine in a line, for results: model, extensions, cores, and how many of them this process may use. */
export function describeMachine(): string {
  const { extensions } = cpuFacts();
  const [all, own] = [cpus().length, availableParallelism()];
  const cores = own < all ? `${own} of ${all} cores` : `${all} cores`;
  return `${cpus()[0]?.model ?? "unknown CPU"} (${extensions.join(", ")}), ${cores}`;
}

function cpuInfo(): string {
  if (platform() !== "linux") return "";
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}
