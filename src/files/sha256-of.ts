import type { Sha256 } from "./digest.ts";

/** How a library goes on with a hash `H` of its own. */
interface HashLibrary<H> {
  update(hash: H, content: string | Uint8Array): void;
  /** Another one that goes on from here. */
  copy(hash: H): H;
}

/** A hash of a library as ours: it can be read, and still goes on. */
export function sha256Of<H extends { digest(): Uint8Array }>(hash: H, library: HashLibrary<H>): Sha256 {
  return {
    update(content) {
      library.update(hash, content);
      return this;
    },
    copy: () => sha256Of(library.copy(hash), library),
    digest: () => library.copy(hash).digest(),
  };
}
