/**
 * Texts inside a template: "{text} It was {mask}." (Schick and Schütze 2021, arXiv 2001.07676). Each part is encoded by
 * itself, with the blank in front of it, so texts can be cut without touching the template.
 */
import { PtuningError } from "../core/index.ts";
import { SequenceCollector, type TokenSequences, tokenCount } from "./sequences.ts";
import { longestFirst, type TextInput, type Tokenizer } from "./tokenizer.ts";

/** A stretch of a template: words of its own, the place of a text, a mask, or pseudo-tokens. */
type ClozePart =
  | { readonly literal: string }
  /** `blank`: whether a blank stands in front of it. */
  | { readonly text: 0 | 1; readonly blank: boolean }
  | { readonly mask: true; readonly blank: boolean }
  | { readonly pseudoTokens: number };

/** A parsed template. */
export interface Cloze {
  readonly parts: readonly ClozePart[];
  /** How many texts it has places for. */
  readonly texts: 1 | 2;
  /** Whether it has a mask. */
  readonly hasMask: boolean;
  /** Whether a blank stands in front of the mask: words in its place have one then. */
  readonly blankBeforeMask: boolean;
  /** How many pseudo-tokens it has. */
  readonly pseudoTokens: number;
}

const slot = /\{\s*(text|first|second|mask|p\s*(?:\*\s*(\d+))?)\s*\}/g;

/**
 * Parses a template: `{text}`, or `{first}` and `{second}` of a pair; at most one `{mask}`; `{p}` or `{p*3}` for
 * pseudo-tokens.
 * @throws OPTION_INVALID
 */
export function parseCloze(template: string): Cloze {
  const parts: ClozePart[] = [];
  const seen = { text: 0, first: 0, second: 0, mask: 0 };
  let [end, pseudoTokens, blankBeforeMask] = [0, 0, false];
  const addLiteral = (literal: string): boolean => {
    if (/[{}]/.test(literal)) throw invalid(template, "{text}, {first}, {second}, {mask} or {p*3} in braces");
    const text = literal.trimEnd();
    if (text !== "") parts.push({ literal: text.replace(/\s+/g, " ") });
    return text !== literal;
  };
  for (const found of template.matchAll(slot)) {
    const [all, name = "", count] = found;
    const blank = addLiteral(template.slice(end, found.index));
    end = found.index + all.length;
    if (name.startsWith("p")) {
      parts.push({ pseudoTokens: Number(count ?? 1) });
      pseudoTokens += Number(count ?? 1);
      continue;
    }
    seen[name as keyof typeof seen]++;
    if (name === "mask") {
      parts.push({ mask: true, blank });
      blankBeforeMask = blank;
    } else parts.push({ text: name === "second" ? 1 : 0, blank });
  }
  addLiteral(template.slice(end));
  const { text, first, second, mask } = seen;
  const isSingle = text === 1 && first + second === 0;
  if (!isSingle && !(text === 0 && first === 1 && second === 1)) {
    throw invalid(template, "either {text} once, or {first} and {second} once each");
  }
  if (mask > 1)
    throw invalid(template, "one {mask} at most; words of several pieces get their masks by themselves");
  return { parts, texts: isSingle ? 1 : 2, hasMask: mask === 1, blankBeforeMask, pseudoTokens };
}

function invalid(template: string, expected: string): PtuningError {
  return new PtuningError(
    "OPTION_INVALID",
    `template: expected ${expected}, in ${JSON.stringify(template)}.`,
  );
}

/** How texts are put into a template. */
export interface ClozeOptions {
  /** Greatest number of tokens per sequence, template and special tokens included. */
  readonly maxLength: number;
  /** Makes a sequence of each text for each of these numbers of masks; default one sequence, without masks. */
  readonly masks?: readonly number[];
  /** Leaves pseudo-tokens out. */
  readonly withoutPseudoTokens?: boolean;
}

/**
 * Puts texts into a template. Masks are marked. Pseudo-token i, counted through the template from 0, has the id −1 − i.
 * A text that is too long is cut at its end, the longer of a pair first; the template never is. Where the vocabulary has a
 * token that opens answers, it stands in front of every sequence with a mask.
 *
 * @returns the sequences of the first text, then those of the second, …
 * @throws DATA_INVALID if a text is a pair and the template not, or the other way round
 * @throws SEQUENCE_TOO_LONG if the template alone is longer than `maxLength`
 * @throws BACKBONE_UNSUPPORTED if the vocabulary has no mask
 */
export async function encodeCloze(
  tokenizer: Tokenizer,
  cloze: Cloze,
  texts: readonly TextInput[],
  { maxLength, masks = [0], withoutPseudoTokens = false }: ClozeOptions,
): Promise<TokenSequences> {
  const { mask, start } = tokenizer.specialTokens;
  if (mask === undefined && cloze.hasMask) {
    throw new PtuningError(
      "BACKBONE_UNSUPPORTED",
      "template: expected a vocabulary with a mask token, it has none.",
    );
  }
  const slots = cloze.parts.filter((part) => "text" in part);
  const strings = texts.flatMap((text) => {
    const given = typeof text === "string" ? [text] : text;
    if (given.length !== cloze.texts) {
      const [wanted, got] = [cloze.texts, given.length].map((count) =>
        count === 1 ? "a text" : "a pair of texts",
      );
      throw new PtuningError("DATA_INVALID", `template: expected ${wanted} per example, got ${got}.`, {
        hint: "A template for single texts has {text}, one for pairs {first} and {second}.",
      });
    }
    return slots.map((part) => `${part.blank ? " " : ""}${given[part.text]!.trim()}`);
  });
  const literals = cloze.parts.flatMap((part) => ("literal" in part ? [part.literal] : []));
  const written = await tokenizer.encodeTexts(literals);
  const pieces = await tokenizer.encodeTexts(strings);
  const literalLength = written.starts[written.count]!;
  const pseudoTokens = withoutPseudoTokens ? 0 : cloze.pseudoTokens;
  const collected = new SequenceCollector(texts.length * masks.length);
  for (let i = 0; i < texts.length; i++) {
    const rows = slots.map((_, s) => i * slots.length + s);
    const lengths = rows.map((row) => tokenCount(pieces, row));
    for (const count of masks) {
      const opening = start !== undefined && count > 0 ? [start] : [];
      const own = tokenizer.addedTokens.single + literalLength + pseudoTokens + count + opening.length;
      const room = maxLength - own;
      if (room < 0) {
        throw new PtuningError(
          "SEQUENCE_TOO_LONG",
          `maxLength: expected at least ${maxLength - room} tokens for the template alone, got ${maxLength}.`,
        );
      }
      const kept = longestFirst(lengths[0]!, lengths[1] ?? 0, room);
      const ids: number[] = [];
      const marks: number[] = [];
      let [literal, text, pseudo] = [0, 0, 0];
      for (const part of cloze.parts) {
        if ("literal" in part) {
          for (const id of written.ids.subarray(written.starts[literal]!, written.starts[literal + 1]!))
            ids.push(id);
          literal++;
        } else if ("text" in part) {
          const start = pieces.starts[rows[text]!]!;
          for (const id of pieces.ids.subarray(start, start + kept[text]!)) ids.push(id);
          text++;
        } else if ("mask" in part) {
          for (let k = 0; k < count; k++) marks.push(ids.push(mask!) - 1);
        } else if (!withoutPseudoTokens) {
          for (let k = 0; k < part.pseudoTokens; k++) ids.push(-1 - pseudo++);
        }
      }
      const { firstStart, ...assembled } = tokenizer.assemble(ids);
      const isCut = kept.some((length, t) => length < (lengths[t] ?? 0));
      const marked = marks.map((position) => opening.length + firstStart + position);
      const typeIds = [...opening.map(() => 0), ...assembled.typeIds];
      collected.add([...opening, ...assembled.ids], typeIds, isCut, marked);
    }
  }
  return collected.finish();
}
