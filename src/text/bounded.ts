import { PtuningError } from "../core/index.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * The tokenizer of a backbone that has vectors for the tokens 0 to `vocabSize` − 1 only. Special tokens beyond are none; any
 * other is refused when a text has it, before a runtime looks up what is not there.
 * @param where for messages: `backbone ID`
 */
export function boundedTokenizer(tokenizer: Tokenizer, vocabSize: number, where: string): Tokenizer {
  const checked = <T extends { readonly ids: Int32Array }>(made: T): T => {
    const beyond = made.ids.find((id) => id >= vocabSize);
    if (beyond === undefined) return made;
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${where}: expected tokens below vocab_size ${vocabSize}, got token ${beyond} from its tokenizer.`,
      {
        hint: "The tokenizer is another checkpoint's, or tokens were added to it that config.json and the weights know nothing of.",
      },
    );
  };
  const known = Object.entries(tokenizer.specialTokens).filter(([, id]) => id < vocabSize);
  return {
    ...tokenizer,
    specialTokens: Object.fromEntries(known),
    assemble: (first, second) => checked(tokenizer.assemble(first, second)),
    encode: async (texts, maxLength, signal) => checked(await tokenizer.encode(texts, maxLength, signal)),
    encodeWords: async (sentences, signal) => checked(await tokenizer.encodeWords(sentences, signal)),
    encodeTexts: async (texts, signal) => checked(await tokenizer.encodeTexts(texts, signal)),
  };
}
