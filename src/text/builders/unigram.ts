/**
 * Tokenizers around a SentencePiece model. DeBERTa v2 and v3, XLM-RoBERTa and CamemBERT do as SentencePiece does;
 * ALBERT's is the one that transformers converts, as all its `tokenizer.json` files come from there.
 */
import { PtuningError } from "../../core/index.ts";
import { type AddedTokenRules, type AddedTokens, addedTokens } from "./added-tokens.ts";
import { definition, type Json, type TokenizerBuilder, type TokenizerFiles } from "./builder.ts";
import { bertTemplate, template } from "./post-processors.ts";
import { joinsAccents, type Piece, readSentencePiece, type SentencePieceModel } from "./sentence-piece.ts";

/** A piece and the logarithm of its probability, as the library's model lists them. */
type Entry = readonly [text: string, score: number];

/** The steps before a text meets the model. */
interface Steps {
  readonly normalizers: readonly Json[];
  readonly preTokenizers: readonly Json[];
}

interface UnigramKind extends Pick<TokenizerBuilder, "modelTypes" | "classes" | "names"> {
  readonly rules: AddedTokenRules;
  /** The vocabulary: the index of a piece is its id. */
  entries(model: SentencePieceModel, where: string): readonly Entry[];
  /** Id of what the vocabulary does not have. */
  unknownId(model: SentencePieceModel): number;
  steps(model: SentencePieceModel, settings: TokenizerFiles["settings"]): Steps;
  postProcessor(tokens: AddedTokens): Json;
}

const blank = "\u2581";

function unigram({
  rules,
  entries,
  unknownId,
  steps,
  postProcessor,
  ...kind
}: UnigramKind): TokenizerBuilder {
  return {
    ...kind,
    files: [["spm.model", "spiece.model", "sentencepiece.bpe.model"]],
    async build(files, [name]) {
      const where = files.where(name!);
      const model = readSentencePiece(await files.bytes(name!), where);
      const vocab = entries(model, where);
      const ids = new Map(vocab.map(([text], id) => [text, id]));
      const tokens = addedTokens(files, kind, { ids, where }, rules);
      const { normalizers, preTokenizers } = steps(model, files.settings);
      return definition({
        added_tokens: tokens.list,
        normalizer: { type: "Sequence", normalizers },
        pre_tokenizer: { type: "Sequence", pretokenizers: preTokenizers },
        post_processor: postProcessor(tokens),
        decoder: metaspace,
        model: { type: "Unigram", unk_id: unknownId(model), vocab, byte_fallback: model.byteFallback },
      });
    },
  };
}

/** Blanks as `▁`, one in front of each text, and a cut in front of each. */
const metaspace: Json = { type: "Metaspace", replacement: blank, prepend_scheme: "always", split: true };

const charsMapOf = ({ charsMap }: SentencePieceModel): Json[] =>
  charsMap.length === 0 ? [] : [{ type: "Precompiled", precompiled_charsmap: base64(charsMap) }];

const base64 = (bytes: Uint8Array): string =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

/** Letters and their accents as one character, before rules that expect them so. */
const joined = ({ charsMap }: SentencePieceModel): Json[] =>
  joinsAccents(charsMap) ? [{ type: "NFC" }] : [];

const replace = (
  pattern: { readonly Regex: string } | { readonly String: string },
  content: string,
): Json => ({
  type: "Replace",
  pattern,
  content,
});

/** What SentencePiece does to a text before it looks for pieces. */
function sentencePieceSteps(model: SentencePieceModel): Steps {
  const { addDummyPrefix, removeExtraWhitespaces, pieces } = model;
  const isOneWord = pieces.some(({ text }) => text.lastIndexOf(blank) > 0 && /[^\u2581]/.test(text));
  return {
    normalizers: [
      ...joined(model),
      ...charsMapOf(model),
      ...(removeExtraWhitespaces ? [replace({ Regex: " {2,}" }, " "), replace({ Regex: "\\A " }, "")] : []),
      ...(addDummyPrefix ? [{ type: "Prepend", prepend: blank }] : []),
      replace({ String: " " }, blank),
      // A `▁` of the text's own goes too.
      ...(removeExtraWhitespaces ? [replace({ Regex: "\u2581+\\z" }, "")] : []),
    ],
    // Cut into words, which the library remembers, unless a piece may stand across two.
    preTokenizers: isOneWord
      ? []
      : [{ type: "Split", pattern: { String: blank }, behavior: "MergedWithNext", invert: false }],
  };
}

/** Signs that count as punctuation: Unicode's, and what else ASCII has. */
const punctuation = "[\\p{P}$+<=>^`|~]";

/** Punctuation stands for itself, and the words around it are texts of their own. */
function punctuationSteps(model: SentencePieceModel): Steps {
  return {
    normalizers: [
      ...joined(model),
      ...charsMapOf(model),
      replace({ Regex: " {2,}" }, " "),
      replace({ Regex: "\\A | \\z" }, ""),
    ],
    preTokenizers: [
      { type: "Split", pattern: { Regex: ` (?=${punctuation})` }, behavior: "Removed", invert: false },
      { type: "Punctuation", behavior: "Isolated" },
      metaspace,
    ],
  };
}

/**
 * The pieces as SentencePiece scores them: those that a user defined are taken before others, and what is no word is
 * found by no text.
 */
function scored(pieces: readonly Piece[]): Entry[] {
  const normal = pieces.filter(({ type }) => type === "normal").map(({ score }) => score);
  const [least, greatest] = normal.reduce(
    ([low, high], score) => [Math.min(low, score), Math.max(high, score)] as const,
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] as const,
  );
  return pieces.map(({ text, score, type }): Entry => {
    if (type !== "user-defined" || normal.length === 0) return [text, score];
    return [text, Math.max(least, new TextEncoder().encode(text).length * greatest - 0.1)];
  });
}

/** DeBERTa v2 and v3. */
export const debertaUnigram: TokenizerBuilder = unigram({
  modelTypes: ["deberta-v2"],
  classes: ["DebertaV2Tokenizer"],
  names: { pad: "[PAD]", unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" },
  rules: { appended: ["mask"] },
  entries: ({ pieces }) => scored(pieces),
  unknownId: ({ unknown }) => unknown,
  steps(model, settings) {
    const { normalizers, preTokenizers } = (
      settings.split_by_punct === true ? punctuationSteps : sentencePieceSteps
    )(model);
    const isLower = settings.do_lower_case === true;
    return { normalizers: [...(isLower ? [{ type: "Lowercase" }] : []), ...normalizers], preTokenizers };
  },
  postProcessor: bertTemplate,
});

const fairseqNames = { pad: "<pad>", unk: "<unk>", cls: "<s>", sep: "</s>", mask: "<mask>" };
const fairseqTemplate = (tokens: AddedTokens): Json =>
  template(tokens, ["cls", "A", "sep"], ["cls", "A", "sep", "sep", "B", "sep"]);

/** The pieces behind those that another list of special tokens takes the place of. */
function behind({ pieces }: SentencePieceModel, first: readonly string[], where: string): readonly Entry[] {
  const found = pieces.slice(0, first.length).map(({ text }) => text);
  if (`${found}` === `${first}`) return scored(pieces).slice(first.length);
  throw new PtuningError(
    "BACKBONE_INVALID",
    `${where}: expected the pieces ${first.join(", ")} first, got ${found.join(", ")}.`,
  );
}

/** XLM-RoBERTa: fairseq's special tokens stand in front, so that pieces move up by one. */
export const xlmRobertaUnigram: TokenizerBuilder = unigram({
  modelTypes: ["xlm-roberta"],
  classes: ["XLMRobertaTokenizer"],
  names: fairseqNames,
  rules: { maskTakesBlank: true },
  entries: (model, where) => [
    ...["<s>", "<pad>", "</s>", "<unk>"].map((text): Entry => [text, 0]),
    ...behind(model, ["<unk>", "<s>", "</s>"], where),
    ["<mask>", 0],
  ],
  unknownId: () => 3,
  steps: sentencePieceSteps,
  postProcessor: fairseqTemplate,
});

/** CamemBERT: as XLM-RoBERTa, with the model's own `<s>` and `</s>` in use; pieces move up by four. */
export const camembertUnigram: TokenizerBuilder = unigram({
  modelTypes: ["camembert"],
  classes: ["CamembertTokenizer"],
  names: fairseqNames,
  rules: { maskTakesBlank: true },
  entries: (model, where) => [
    ...["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"].map((text): Entry => [text, 0]),
    ...behind(model, ["<unk>"], where),
    ["<mask>", 0],
  ],
  unknownId: () => 3,
  steps: sentencePieceSteps,
  postProcessor: fairseqTemplate,
});

/** A piece that ends in a digit and a comma is a number in a list: ALBERT splits the comma off, so its score goes down. */
const numberComma = /\p{Nd},$/u;
const numberCommaPenalty = 100;

/** ALBERT. */
export const albertUnigram: TokenizerBuilder = unigram({
  modelTypes: ["albert"],
  classes: ["AlbertTokenizer"],
  names: { pad: "<pad>", unk: "<unk>", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" },
  rules: { maskTakesBlank: true },
  entries: ({ pieces }) =>
    pieces.map(({ text, score }) => [text, numberComma.test(text) ? score - numberCommaPenalty : score]),
  unknownId: ({ unknown }) => unknown,
  steps: (model, settings) => ({
    normalizers: [
      replace({ String: "``" }, '"'),
      replace({ String: "''" }, '"'),
      ...(settings.keep_accents === true ? [] : [{ type: "NFKD" }, { type: "StripAccents" }]),
      ...((settings.do_lower_case ?? true) ? [{ type: "Lowercase" }] : []),
      ...charsMapOf(model),
      replace({ Regex: " {2,}" }, " "),
    ],
    preTokenizers: [metaspace],
  }),
  postProcessor: bertTemplate,
});
