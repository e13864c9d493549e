import { defaultThreads } from "ptuning/engine";
import { expect, test } from "vitest";

/** A machine as its system files show it: logical CPU `i` is a thread of core `i % cores`. */
function machine(cpus: number, cores: number, more: Readonly<Record<string, string>> = {}) {
  const siblings = (core: number): string =>
    Array.from({ length: cpus / cores }, (_, i) => core + i * cores).join(",");
  const files: Record<string, string> = {
    "/proc/self/status": `Name:\tnode\nCpus_allowed_list:\t0-${cpus - 1}\n`,
  };
  for (let cpu = 0; cpu < cpus; cpu++) {
    files[`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`] = `${siblings(cpu % cores)}\n`;
  }
  const all: Readonly<Record<string, string>> = { ...files, ...more };
  return (path: string): string | undefined => all[path];
}

const unified = "0::/user/job\n";

test.each([
  ["one core", 1, 1, {}, 1],
  ["hyper-threads count once", 16, 8, {}, 8],
  ["many cores", 128, 64, {}, 32],
  ["affinity", 16, 8, { "/proc/self/status": "Cpus_allowed_list:\t0,2-3,8\n" }, 3],
  [
    "quota",
    16,
    16,
    { "/proc/self/cgroup": unified, "/sys/fs/cgroup/user/job/cpu.max": "350000 100000\n" },
    4,
  ],
  [
    "quota above",
    16,
    16,
    { "/proc/self/cgroup": unified, "/sys/fs/cgroup/user/cpu.max": "200000 100000\n" },
    2,
  ],
  ["no quota", 4, 4, { "/proc/self/cgroup": unified, "/sys/fs/cgroup/user/job/cpu.max": "max 100000\n" }, 4],
  [
    "quota of version 1, path of the host",
    8,
    8,
    {
      "/proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    },
    1,
  ],
] as const)("%s", (_, cpus, cores, files, threads) => {
  expect(defaultThreads(machine(cpus, cores, files), cpus)).toBe(threads);
});

test("without such files it is what Node says", () => {
  expect(defaultThreads(() => undefined, 6)).toBe(6);
});
