/** Writes all but the weights; `size` are keys of `config.json`. */
export function writeGlm(
  folder: string,
  options: { readonly words?: readonly string[]; readonly [size: string]: unknown },
): void;
