/**
 * SHA-256 of texts (UTF-8) and bytes one behind another, as lower-case hex. They are all in memory at once: weights that lie
 * in files are hashed as streams.
 */
export async function sha256(parts: readonly (string | Uint8Array)[]): Promise<string> {
  const encoder = new TextEncoder();
  const chunks = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", joined(chunks)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  // One alone is large.
  if (chunks.length === 1) return chunks[0] as Uint8Array<ArrayBuffer>;
  const all = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
