/**
 * A command line that a POSIX shell takes apart into exactly these words: what is printed can be pasted.
 * @example
 * shellCommand("ptuning", "predict", "my runs/it's"); // `ptuning predict 'my runs/it'\\''s'`
 */
export function shellCommand(...words: readonly string[]): string {
  return words.map(shellWord).join(" ");
}

/** A path as an argument: one that begins with a dash is no option. */
export function pathWord(path: string): string {
  return path.startsWith("-") ? `./${path}` : path;
}

function shellWord(word: string): string {
  if (/^[\w@%+:,./-]+$/.test(word) || /^--?[\w-]+$/.test(word)) return word;
  // Control characters are shown when they are printed: bash reads them back in this form.
  if (/\p{Cc}/u.test(word)) {
    const body = word
      .replace(/[\\']/g, "\\$&")
      .replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
    return `$'${body}'`;
  }
  return `'${word.replaceAll("'", "'\\''")}'`;
}
