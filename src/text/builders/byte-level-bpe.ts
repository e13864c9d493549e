import { PtuningError, shown } from "../../core/index.ts";
import { type AddedTokenRules, type AddedTokens, addedTokens, vocabularyOf } from "./added-tokens.ts";
import { definition, type Json, type TokenizerBuilder } from "./builder.ts";
import { bertTemplate, robertaProcessing, template } from "./post-processors.ts";

interface BpeKind extends Pick<TokenizerBuilder, "modelTypes" | "classes" | "names" | "start"> {
  /** Files beside `vocab.json` and `merges.txt`. */
  readonly alsoNeeds?: readonly string[];
  readonly rules: AddedTokenRules;
  postProcessor(tokens: AddedTokens, addPrefixSpace: boolean): Json;
}

/** GPT-2's tokenizer, which RoBERTa took over, around `vocab.json` and `merges.txt`. */
function byteLevelBpe({ alsoNeeds = [], rules, postProcessor, ...kind }: BpeKind): TokenizerBuilder {
  return {
    ...kind,
    files: [["vocab.json"], ["merges.txt"], ...alsoNeeds.map((name) => [name])],
    async build(files) {
      const where = files.where("vocab.json");
      const ids = vocabularyOf(await files.json("vocab.json"), where);
      const merges = readMerges(await files.text("merges.txt"), ids, files.where("merges.txt"));
      const tokens = addedTokens(files, kind, { ids, where }, { maskTakesBlank: true, ...rules });
      const addPrefixSpace = files.settings.add_prefix_space === true;
      return definition({
        added_tokens: tokens.list,
        normalizer: null,
        pre_tokenizer: {
          type: "ByteLevel",
          add_prefix_space: addPrefixSpace,
          trim_offsets: true,
          use_regex: true,
        },
        post_processor: postProcessor(tokens, addPrefixSpace),
        decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
        model: {
          type: "BPE",
          dropout: null,
          unk_token: null,
          continuing_subword_prefix: "",
          end_of_word_suffix: "",
          fuse_unk: false,
          byte_fallback: false,
          vocab: Object.fromEntries(ids),
          merges,
        },
      });
    },
  };
}

/** Pairs that become one piece, in order; the first line may name a version. */
function readMerges(text: string, ids: ReadonlyMap<string, number>, where: string): string[] {
  const merges: string[] = [];
  const lines = new Map<string, number>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line === "" || (i === 0 && line.startsWith("#version"))) continue;
    const parts = line.split(" ");
    const [left, right] = parts;
    const fail = (expected: string): never => {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${where}:${i + 1}: expected ${expected}, got ${shown(line)}.`,
      );
    };
    if (parts.length !== 2 || left === "" || right === "") fail("two pieces with a blank between them");
    const unknown = [left!, right!, `${left}${right}`].find((piece) => !ids.has(piece));
    if (unknown !== undefined) fail(`pieces of vocab.json (${shown(unknown)} is none)`);
    const before = lines.get(line);
    if (before !== undefined) fail(`another pair than in line ${before + 1}`);
    lines.set(line, i);
    merges.push(line);
  }
  return merges;
}

/** RoBERTa. */
export const robertaBpe: TokenizerBuilder = byteLevelBpe({
  modelTypes: ["roberta"],
  classes: ["RobertaTokenizer"],
  names: { pad: "<pad>", unk: "<unk>", cls: "<s>", sep: "</s>", mask: "<mask>" },
  rules: {},
  postProcessor: robertaProcessing,
});

/** DeBERTa v1: BERT's special tokens, and offsets that keep the blank in front of a word. */
export const debertaBpe: TokenizerBuilder = byteLevelBpe({
  modelTypes: ["deberta"],
  classes: ["DebertaTokenizer"],
  names: { pad: "[PAD]", unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" },
  rules: { appended: ["mask"] },
  postProcessor: bertTemplate,
});

/** GLM (Du et al. 2022): GPT-2's vocabulary and tokens behind it; `[SEP]` stands between texts that no pattern joins. */
export const glmBpe: TokenizerBuilder = byteLevelBpe({
  modelTypes: ["glm"],
  classes: ["GLMGPT2Tokenizer"],
  alsoNeeds: ["added_tokens.json"],
  names: { pad: "<|endoftext|>", unk: "<|endoftext|>", cls: "[CLS]", sep: "[SEP]", mask: "[MASK]" },
  start: "<|startofpiece|>",
  rules: {
    others: [
      ...["<|startofpiece|>", "<|endofpiece|>", "[UNUSED]"].map((content) => ({ content })),
      ...["[gMASK]", "[sMASK]"].map((content) => ({ content, lstrip: true })),
    ],
  },
  postProcessor: (tokens) => template(tokens, ["cls", "A", "pad"], ["cls", "A", "sep", "B", "pad"]),
});
