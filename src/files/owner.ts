/** Which process made something, and whether it still runs. */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { systemCode } from "../core/index.ts";
import { hashText } from "./digest.ts";

/** A process, told from every other one. */
export interface ProcessMark {
  readonly pid: number;
  /** Tells a process from a later one with the same id; empty where the system does not say. */
  readonly processStart: string;
  /** The table of processes that `pid` is a number of: see {@link processPlace}. */
  readonly place: string;
}

/** What can be known of a process: `unknown` where it is of another machine or container, or the system does not say. */
export type Liveness = "running" | "gone" | "unknown";

let place: string | undefined;

/**
 * The table of processes of this one. On Linux the boot and the namespace of process ids: names of hosts change, and
 * containers have the same ones; elsewhere the host's name.
 */
export function processPlace(): string {
  place ??= readPlace();
  return place;
}

function readPlace(): string {
  try {
    return `${bootId()}/${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return `host:${hostname()}`;
  }
}

function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

let own: ProcessMark | undefined;

/** The mark of this process. */
export function ownProcess(): ProcessMark {
  own ??= { pid: process.pid, processStart: processStart(process.pid), place: processPlace() };
  return own;
}

/** Whether a process runs. */
export function livenessOf({ pid, processStart: started, place }: ProcessMark): Liveness {
  if (place !== processPlace()) return "unknown";
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (systemCode(error) === "ESRCH") return "gone";
  }
  const now = processStart(pid);
  if (now === ended) return "gone";
  // Without its start nobody can tell it from a later process of that number.
  if (now === "" || started === "") return "unknown";
  return now === started ? "running" : "gone";
}

const ended = "ended";

/** Boot id and start time of a process (Linux); process ids are used again, in containers at once. */
function processStart(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? ended : `${bootId()}/${fields[19]}`;
  } catch {
    return "";
  }
}

/** The mark of this process as part of a file name. */
export function ownTag(): string {
  const { pid, processStart: started, place } = ownProcess();
  return `${placeTag(place)}-${pid}-${started.split("/")[1] ?? 0}`;
}

/** The form of {@link ownTag}, for regular expressions. */
export const tagPattern = "[0-9a-f]{8}-\\d+-\\d+";

/** Whether the process of a tag runs. */
export function livenessOfTag(tag: string): Liveness {
  const [where, pid, ticks] = tag.split("-") as [string, string, string];
  if (where !== placeTag(processPlace())) return "unknown";
  const started = ticks === "0" ? "" : `${processPlace().split("/")[0]}/${ticks}`;
  return livenessOf({ pid: Number(pid), processStart: started, place: processPlace() });
}

function placeTag(of: string): string {
  return hashText(of).slice(0, 8);
}
