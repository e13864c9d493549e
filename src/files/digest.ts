// An entry of package.json: by Node's own library where it is there.
import { createSha256 } from "#sha256";

export { createSha256 };

/** A SHA-256 on its way. */
export interface Sha256 {
  /** @param content bytes, or a text as UTF-8 */
  update(content: string | Uint8Array): this;
  /** Another one that goes on from here. */
  copy(): Sha256;
  /** The 32 bytes of what came so far; more may come. */
  digest(): Uint8Array;
}

/** Bytes as lower-case hex. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256 of a text or bytes as lower-case hex. */
export function hashText(content: string | Uint8Array): string {
  return hex(createSha256().update(content).digest());
}
