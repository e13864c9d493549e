import type { AddedTokens } from "./added-tokens.ts";
import type { Json, SpecialRole } from "./builder.ts";

/** A special token by its role, or the first (A) or second (B) text; `:1` gives it and its text the second type. */
export type TemplatePart = SpecialRole | "A" | "B" | `${SpecialRole | "B"}:1`;

/** Special tokens around one text and around two. */
export function template(
  tokens: AddedTokens,
  single: readonly TemplatePart[],
  pair: readonly TemplatePart[],
): Json {
  const used = new Map<string, number>();
  const part = (named: TemplatePart): Json => {
    const [name, type] = named.split(":");
    if (name === "A" || name === "B") return { Sequence: { id: name, type_id: Number(type ?? 0) } };
    const [content, id] = tokens.idOf(name as SpecialRole);
    used.set(content, id);
    return { SpecialToken: { id: content, type_id: Number(type ?? 0) } };
  };
  const parts = { single: single.map(part), pair: pair.map(part) };
  const special = [...used].map(([content, id]) => [content, { id: content, ids: [id], tokens: [content] }]);
  return { type: "TemplateProcessing", ...parts, special_tokens: Object.fromEntries(special) };
}

/** `[CLS] A [SEP]`, `[CLS] A [SEP] B [SEP]`, the second text with types of its own: BERT. */
export const bertTemplate = (tokens: AddedTokens): Json =>
  template(tokens, ["cls", "A", "sep"], ["cls", "A", "sep", "B:1", "sep:1"]);

/** `<s> A </s>`, `<s> A </s> </s> B </s>`; offsets without the blanks that tokens begin with: RoBERTa. */
export const robertaProcessing = (tokens: AddedTokens, addPrefixSpace: boolean): Json => ({
  type: "RobertaProcessing",
  sep: tokens.idOf("sep"),
  cls: tokens.idOf("cls"),
  trim_offsets: true,
  add_prefix_space: addPrefixSpace,
});
