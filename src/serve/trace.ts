import { randomBytes } from "node:crypto";

/** The place of a request in a trace, as W3C Trace Context has it. */
export interface TracePlace {
  /** 32 hexadecimal digits, the caller's where it sent some. */
  readonly traceId: string;
  /** Of this server's part: 16 hexadecimal digits. */
  readonly spanId: string;
  readonly flags: string;
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The caller's trace with a span of our own; a new trace where the header is absent or not of its form. */
export function traceOf(header: string | null | undefined): TracePlace {
  const spanId = randomBytes(8).toString("hex");
  const [, version, traceId, parent, flags, rest] = form.exec(header ?? "") ?? [];
  const isValid =
    version !== undefined &&
    version !== "ff" &&
    // Version 00 has nothing more; later ones may.
    (version !== "00" || rest === undefined) &&
    /[1-9a-f]/.test(traceId!) &&
    /[1-9a-f]/.test(parent!);
  if (isValid) return { traceId: traceId!, spanId, flags: flags! };
  return { traceId: randomBytes(16).toString("hex"), spanId, flags: "00" };
}

/** The header that tells of the place. */
export function traceparent({ traceId, spanId, flags }: TracePlace): string {
  return `00-${traceId}-${spanId}-${flags}`;
}
