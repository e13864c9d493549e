import { PtuningError, shown } from "../../core/index.ts";
import type { TokenizerBuilder } from "./builder.ts";
import { debertaBpe, glmBpe, robertaBpe } from "./byte-level-bpe.ts";
import { albertUnigram, camembertUnigram, debertaUnigram, xlmRobertaUnigram } from "./unigram.ts";
import { bertWordPiece, mpnetWordPiece } from "./word-piece.ts";

/** Every builder, those of a SentencePiece model first: where a folder says nothing else, its files choose in this order. */
const builders: readonly TokenizerBuilder[] = [
  ...[debertaUnigram, xlmRobertaUnigram, camembertUnigram, albertUnigram],
  ...[robertaBpe, debertaBpe, glmBpe],
  ...[bertWordPiece, mpnetWordPiece],
];

/** Of the builders, those whose files speak for themselves where no `config.json` names a kind. */
const usual: readonly TokenizerBuilder[] = [robertaBpe, bertWordPiece];

/** Every file that a tokenizer is built from. */
export const builtFrom: readonly string[] = [...new Set(builders.flatMap(({ files }) => files.flat(2)))];

/** One file of each kind of vocabulary; with all that belongs to one, a tokenizer can be built. */
export const vocabularyFiles: readonly string[] = [
  ...new Set(builders.flatMap(({ files }) => files[0] ?? [])),
];

/** What a folder says about the kind of its tokenizer. */
export interface Kind {
  /** `tokenizer_class` of `tokenizer_config.json`, or else of `config.json`. */
  readonly tokenizerClass: unknown;
  /** Of `config.json`. */
  readonly modelType: unknown;
}

/** The builder for what a folder says of itself; `undefined` if it says nothing that one knows. */
export function builderOf({ tokenizerClass, modelType }: Kind): TokenizerBuilder | undefined {
  const plain = typeof tokenizerClass === "string" ? tokenizerClass.replace(/Fast$/, "") : "";
  return (
    builders.find(({ classes }) => classes.includes(plain)) ??
    builders.find(({ modelTypes }) => typeof modelType === "string" && modelTypes.includes(modelType))
  );
}

/**
 * The builder for a folder, and which of the files it is built from.
 * @param has whether the folder has a file
 * @throws BACKBONE_INVALID if a file is missing, or nothing says what kind it is
 */
export function chooseBuilder(
  folder: string,
  kind: Kind,
  has: (name: string) => boolean,
): { readonly builder: TokenizerBuilder; readonly sources: readonly string[] } {
  const sourcesOf = (builder: TokenizerBuilder): (string | undefined)[] =>
    builder.files.map((alternatives) => alternatives.find(has));
  const isBuildable = (builder: TokenizerBuilder): boolean => !sourcesOf(builder).includes(undefined);
  const known = builderOf(kind);
  if (known === undefined && kind.modelType !== undefined) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${folder}: expected tokenizer.json, as no other tokenizer of model_type ${shown(kind.modelType)} is known; found none.`,
    );
  }
  const builder = known ?? usual.find(isBuildable);
  if (builder === undefined) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${folder}: expected tokenizer.json, vocab.txt, or vocab.json with merges.txt, found none.`,
    );
  }
  const sources = sourcesOf(builder);
  const missing = sources.indexOf(undefined);
  if (missing >= 0) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${folder}: expected tokenizer.json or ${builder.files.map((each) => each.join(" or ")).join(" with ")}, found no ${builder.files[missing]!.join(" or ")}.`,
    );
  }
  return { builder, sources: sources as string[] };
}
