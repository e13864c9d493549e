import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import crc32c from "crc-32/crc32c.js";
import type { SavedAdapter } from "../adapters/index.ts";
import { asUnwritable, makeFolder } from "../files/index.ts";
import type { TrainEvent } from "../train/index.ts";
import { EventSchema } from "./event_pb.ts";

/** A file of scalars that TensorBoard shows, also while it is being written. */
export interface EventFile {
  /** Adds numbers by tag (`train/loss`) at a step; what is not finite is left out. */
  write(step: number, scalars: Readonly<Record<string, number>>): Promise<void>;
  close(): Promise<void>;
}

/** The version of the format that has session starts. */
const fileVersion = "brain.Event:2";
/** SessionStatus.START: what other files of the folder hold from its step on counts no more. */
const sessionStart = 1;

/**
 * Starts an event file in a folder beside those that are there.
 * @param step the first that will be written: what an interrupted run wrote from there on is void
 * @throws STORAGE_FULL
 */
export async function openEventFile(folder: string, step: number): Promise<EventFile> {
  await makeFolder(folder);
  // Readers take files in the order of their names.
  const [seconds, rest] = (Date.now() / 1000).toFixed(3).split(".");
  const path = join(folder, `events.out.tfevents.${seconds}.${rest}.ptuning`);
  const stream = createWriteStream(path, { flags: "a" });
  const failure = new Promise<never>((_, reject) => stream.on("error", reject));
  failure.catch(() => {});
  const add = (event: Omit<MessageInitShape<typeof EventSchema>, "$typeName">): Promise<void> => {
    const message = create(EventSchema, { wallTime: Date.now() / 1000, ...event });
    const bytes = record(toBinary(EventSchema, message));
    const written = new Promise<void>((resolve, reject) =>
      stream.write(bytes, (error) => (error ? reject(error) : resolve())),
    );
    return Promise.race([written, failure]).catch((cause) => {
      throw asUnwritable(path, cause);
    });
  };
  await add({ what: { case: "fileVersion", value: fileVersion } });
  await add({ step: BigInt(step), what: { case: "sessionLog", value: { status: sessionStart } } });
  return {
    async write(at, scalars) {
      const value = Object.entries(scalars)
        .filter(([, number]) => Number.isFinite(number))
        .map(([tag, simpleValue]) => ({ tag, simpleValue }));
      if (value.length > 0) await add({ step: BigInt(at), what: { case: "summary", value: { value } } });
    },
    close: () => new Promise((resolve) => stream.end(() => resolve())),
  };
}

/** The numbers of an event that are worth a curve. */
export function scalarsOf(event: TrainEvent<SavedAdapter>): Readonly<Record<string, number>> {
  if (event.type === "step") {
    return {
      "train/loss": event.loss,
      ...(event.task && { [`train/${event.task}/loss`]: event.loss }),
      "train/learning_rate": event.learningRate,
      "train/gradient_norm": event.gradientNorm,
      "train/tokens_per_second": event.tokens / event.seconds,
    };
  }
  return event.type === "evaluation" ? { "dev/loss": event.loss, ...withPrefix("dev", event.scores) } : {};
}

/** `accuracy` → `test/accuracy`. */
export function withPrefix(
  prefix: string,
  scores: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(scores).map(([name, value]) => [`${prefix}/${name}`, value]));
}

/** TFRecord framing: length, its checksum, data, its checksum; all little-endian. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + 4 + data.length + 4);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedChecksum(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedChecksum(data), true);
  return bytes;
}

/** A checksum of data that holds checksums is weak: TFRecord turns and shifts it, ((crc >> 15) | (crc << 17)) + a constant. */
function maskedChecksum(data: Uint8Array): number {
  const crc = crc32c.buf(data) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
