import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

/** Threads of an engine at most: each has a stack, and more than the cores only wait for each other. */
export const threadLimit = 512;

/** Reads a small file of the system; `undefined` where there is none. */
export type ReadSystemFile = (path: string) => string | undefined;

const readSystemFile: ReadSystemFile = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/** More threads than this wait for each other more than they compute, at the sizes of a batch; one may ask for more. */
const mostThreads = 32;

/**
 * Threads that suit this process: the physical cores that it may use (two hyper-threads share one core's arithmetic
 * units), or fewer where a container's CPU quota is less. Linux says all of it; elsewhere it is what Node reports.
 */
export function defaultThreads(
  read: ReadSystemFile = readSystemFile,
  parallelism: number = availableParallelism(),
): number {
  const cores = physicalCores(read) ?? parallelism;
  const quota = cpuQuota(read) ?? Number.POSITIVE_INFINITY;
  // Part of a core is still a core; a quota of 1.5 keeps 2 threads busy three quarters of the time.
  return Math.max(1, Math.min(cores, parallelism, Math.ceil(quota), mostThreads));
}

/** Cores behind the logical CPUs that the process may run on. */
function physicalCores(read: ReadSystemFile): number | undefined {
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(read("/proc/self/status") ?? "")?.[1];
  if (allowed === undefined) return undefined;
  const siblings = new Set<string>();
  for (const cpu of cpuList(allowed)) {
    const list = read(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`);
    if (list === undefined) return undefined;
    siblings.add(list.trim());
  }
  return siblings.size;
}

/** `0-3,8` → 0, 1, 2, 3, 8. */
function cpuList(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** CPUs' worth of time that the control groups around this process grant, the tightest of all levels. */
function cpuQuota(read: ReadSystemFile): number | undefined {
  const quotas: number[] = [];
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    const isUnified = controllers === "";
    if (!isUnified && !controllers!.split(",").includes("cpu")) continue;
    const root = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    for (let at = path; ; at = dirname(at)) {
      // Inside a container the path may be the host's: then its own root holds the limit.
      const [quota, period] = isUnified
        ? (read(join(root, at, "cpu.max")) ?? "").trim().split(" ")
        : ["quota", "period"].map((part) => read(join(root, at, `cpu.cfs_${part}_us`))?.trim());
      const share = Number(quota) / Number(period);
      if (share > 0) quotas.push(share);
      if (at === "/" || at === ".") break;
    }
  }
  return quotas.length === 0 ? undefined : Math.min(...quotas);
}
