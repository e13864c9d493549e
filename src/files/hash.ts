import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";

/** SHA-256 of a file, or of several that lie one after another, as lower-case hex, read as a stream. */
export async function hashFile(path: string | readonly string[], signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for (const part of typeof path === "string" ? [path] : path) {
    const chunks = createReadStream(part, { highWaterMark: 1 << 20 });
    const update = async (from: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of from) hash.update(chunk);
    };
    await pipeline(chunks, update, { ...(signal && { signal }) });
  }
  return hash.digest("hex");
}
