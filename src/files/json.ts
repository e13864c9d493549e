const quote = 0x22;
const colon = 0x3a;

/**
 * The keys of a JSON object as written, repeats included; `JSON.parse` would keep the last of them only.
 * @param text of valid JSON
 */
export function topLevelKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) depth--;
    else if (code === quote) {
      const end = endOfString(text, at);
      if (depth === 1) {
        let next = end + 1;
        while (text.charCodeAt(next) <= 0x20) next++;
        if (text.charCodeAt(next) === colon) keys.push(JSON.parse(text.slice(at, end + 1)));
      }
      at = end;
    }
  }
  return keys;
}

/** Place of the quote that ends the string which starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; ) {
    const end = text.indexOf('"', at);
    if (end < 0) return text.length;
    let first = end;
    while (text[first - 1] === "\\") first--;
    if ((end - first) % 2 === 0) return end;
    at = end + 1;
  }
}
