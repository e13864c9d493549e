import { setFlagsFromString } from "node:v8";

/** The newest Node whose V8 is known to have the flag: another would say that it has not. */
const lastKnownNode = 24;

/**
 * Keeps the heap near what is in use. By default V8 lets a small heap grow to several times that before it looks for what
 * is no longer needed; over a million rows, whose objects live for a moment, that is memory for nothing.
 */
export function keepHeapSmall(): void {
  const [major] = process.versions.node.split(".");
  if (Number(major) <= lastKnownNode) setFlagsFromString("--heap-growing-percent=50");
}
