/** Characters of every kind that pre-tokenizers tell apart. */
const usual = [
  "a",
  "A",
  "1",
  " ",
  ".",
  "-",
  "'",
  "\n",
  "\t",
  "\u00e9",
  "\u0301",
  "\u4e2d",
  "\u0627",
  "\u{1f600}",
  "\u200d",
];

/** Characters and words of a definition that are tried; more make no difference but cost time. */
const mostCharacters = 64;
const mostWords = 64;

/**
 * Texts on which a tokenizer that can be brought down or to a halt is likely to be: what its own patterns speak of, over
 * and over, with another end.
 * @param definition content of a `tokenizer.json`
 */
export function probeTexts(definition: string): string[] {
  const { normalizer, pre_tokenizer: preTokenizer, added_tokens: added } = JSON.parse(definition);
  const strings = [...stringsIn([normalizer, preTokenizer])];
  const own = stringsIn(Array.isArray(added) ? added.slice(0, mostWords) : added);
  const characters = new Set([...usual, ...strings.flatMap((text) => [...text.slice(0, 1000)])]);
  // The letters of a pattern without its signs: `(ab+)+$` speaks of abab.
  const words = new Set(
    strings.flatMap((text) => text.slice(0, 1000).match(/[\p{L}\p{N}]{2,20}/gu) ?? []).slice(0, mostWords),
  );
  const units = [...[...characters].slice(0, mostCharacters + usual.length), ...words];
  const texts = units.flatMap((unit) => [
    unit.repeat(3000),
    `${unit.repeat(50)}!`,
    `${unit.repeat(50)}\u00e9 b`,
  ]);
  const mixed = `${units.join(" ")}\n${units.join("")}`;
  return ["", "\u0000", ...own, ...texts, mixed, mixed.repeat(Math.ceil(50_000 / mixed.length))];
}

/** Every text inside a value, from outside to inside. */
function* stringsIn(value: unknown): Generator<string> {
  const open = [value];
  for (let found = 0; open.length > 0 && found < 10_000; found++) {
    const one = open.shift();
    if (typeof one === "string") yield one;
    else if (typeof one === "object" && one !== null) open.push(...Object.values(one).slice(0, 1000));
  }
}
