import { PtuningError, shown } from "../../core/index.ts";
import { type AddedTokenRules, type AddedTokens, addedTokens } from "./added-tokens.ts";
import { definition, type Json, type TokenizerBuilder } from "./builder.ts";
import { bertTemplate, robertaProcessing } from "./post-processors.ts";

interface WordPieceKind extends Pick<TokenizerBuilder, "modelTypes" | "classes" | "names"> {
  readonly rules: AddedTokenRules;
  postProcessor(tokens: AddedTokens): Json;
}

/** BERT's tokenizer around a `vocab.txt`: one piece a line, its id the number of the line. */
function wordPiece({ rules, postProcessor, ...kind }: WordPieceKind): TokenizerBuilder {
  return {
    ...kind,
    files: [["vocab.txt"]],
    async build(files, [name]) {
      const where = files.where(name!);
      const ids = readLines(await files.text(name!), where);
      const tokens = addedTokens(files, kind, { ids, where }, rules);
      const { settings } = files;
      return definition({
        added_tokens: tokens.list,
        normalizer: {
          type: "BertNormalizer",
          clean_text: true,
          handle_chinese_chars: settings.tokenize_chinese_chars ?? true,
          strip_accents: settings.strip_accents ?? null,
          lowercase: settings.do_lower_case ?? true,
        },
        pre_tokenizer: { type: "BertPreTokenizer" },
        post_processor: postProcessor(tokens),
        decoder: { type: "WordPiece", prefix: "##", cleanup: true },
        model: {
          type: "WordPiece",
          unk_token: tokens.idOf("unk")[0],
          continuing_subword_prefix: "##",
          max_input_chars_per_word: 100,
          vocab: Object.fromEntries(ids),
        },
      });
    },
  };
}

function readLines(text: string, where: string): ReadonlyMap<string, number> {
  const lines = text.replace(/(\r\n|\r|\n)$/, "").split(/\r\n|\r|\n/);
  const firsts = new Map<string, number>();
  for (const [i, piece] of lines.entries()) {
    const first = firsts.get(piece);
    if (first !== undefined) {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${where}:${i + 1}: expected another piece than in line ${first + 1}, got ${shown(piece)} again.`,
      );
    }
    firsts.set(piece, i);
  }
  return firsts;
}

/** BERT, and what took its tokenizer over. */
export const bertWordPiece: TokenizerBuilder = wordPiece({
  modelTypes: ["bert", "electra", "distilbert"],
  classes: ["BertTokenizer", "ElectraTokenizer", "DistilBertTokenizer"],
  names: { pad: "[PAD]", unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" },
  rules: {},
  postProcessor: bertTemplate,
});

/** MPNet: BERT's words under RoBERTa's special tokens. Its vocabulary has BERT's `[CLS]` and `[SEP]` too, unused. */
export const mpnetWordPiece: TokenizerBuilder = wordPiece({
  modelTypes: ["mpnet"],
  classes: ["MPNetTokenizer"],
  names: { pad: "<pad>", unk: "[UNK]", cls: "<s>", sep: "</s>", mask: "<mask>" },
  rules: { maskTakesBlank: true, others: [{ content: "<unk>", normalized: true }] },
  postProcessor: (tokens) => robertaProcessing(tokens, false),
});
