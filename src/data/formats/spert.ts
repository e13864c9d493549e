import type { TokenExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { jsonElements } from "../json-elements.ts";
import { isRecord } from "../lines.ts";

async function* read(input: FormatInput): AsyncGenerator<TokenExample> {
  for await (const { value, line } of jsonElements(input, ["*"])) {
    const fail = (expected: string): void =>
      input.reject(dataError(input.path, line, `expected ${expected}`));
    if (!isRecord(value) || !isTexts(value.tokens) || value.tokens.length === 0) {
      fail("an object with a list of tokens");
      continue;
    }
    const words = value.tokens;
    if (isTexts(value.tags)) {
      if (value.tags.length === words.length) yield { words, tags: value.tags, line };
      else fail(`a tag for each of ${words.length} tokens, got ${value.tags.length}`);
      continue;
    }
    if (value.entities === undefined) {
      yield { words, line };
      continue;
    }
    const tags = tagsOf(words.length, value.entities);
    if (tags === undefined) fail("entities as {type, start, end} inside the tokens, without overlaps");
    else yield { words, tags, line };
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** IOB2 tags of SpERT's entities, whose `end` is exclusive. */
function tagsOf(length: number, entities: unknown): string[] | undefined {
  if (!Array.isArray(entities)) return undefined;
  const tags: string[] = new Array(length).fill("O");
  for (const entity of entities) {
    if (!isRecord(entity) || typeof entity.type !== "string") return undefined;
    const { start, end } = entity;
    if (!Number.isInteger(start) || !Number.isInteger(end)) return undefined;
    const [from, to] = [start as number, end as number];
    if (from < 0 || to <= from || to > length || tags.slice(from, to).some((tag) => tag !== "O"))
      return undefined;
    for (let i = from; i < to; i++) tags[i] = `${i === from ? "B" : "I"}-${entity.type}`;
  }
  return tags;
}

/** A JSON list of sentences with `tokens` and `tags` (any scheme) or `entities` (CoNLL04 as SpERT and TablERT have it). */
export const spert: Format = {
  title: "JSON of sentences with tokens and tags or entities (SpERT)",
  readers: { tokens: read },
  fits: ({ start }) => /^\s*\[\s*\{/.test(start) && /^[^[]*\[\s*\{[^{}]*"tokens"\s*:\s*\[\s*"/.test(start),
};
