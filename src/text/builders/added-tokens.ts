import { PtuningError, shown } from "../../core/index.ts";
import {
  type Json,
  type NamedToken,
  type SpecialRole,
  specialRoles,
  type TokenizerBuilder,
  type TokenizerFiles,
} from "./builder.ts";

/** How a builder's vocabulary looks to the tokens that stand beside it. */
export interface Vocabulary {
  /** Ids of its pieces. */
  readonly ids: ReadonlyMap<string, number>;
  /** Its file, for errors. */
  readonly where: string;
}

/** What a kind of tokenizer does with tokens that its files do not describe. */
export interface AddedTokenRules {
  /** Whether the mask takes the blank in front of it: it stands for a word together with its blank. */
  readonly maskTakesBlank?: boolean;
  /** Special tokens that stand behind the vocabulary where they are not in it. */
  readonly appended?: readonly SpecialRole[];
  /** Special tokens without a role. */
  readonly others?: readonly (Pick<NamedToken, "content"> & Partial<NamedToken>)[];
}

/** Ids are 32-bit integers wherever they go. */
const idLimit = 2 ** 31;

/** The tokens that are looked for in a text before its words, and where special ones have their ids. */
export interface AddedTokens {
  /** For `added_tokens` of the definition, in the order of their ids. */
  readonly list: readonly Json[];
  /**
   * The id of a special token.
   * @throws BACKBONE_INVALID if neither the vocabulary nor the settings have it
   */
  idOf(role: SpecialRole): readonly [content: string, id: number];
}

/**
 * Lays the tokens of a folder's settings over a vocabulary.
 * @throws BACKBONE_INVALID if an id contradicts the vocabulary or leaves a gap, which the library would fill
 */
export function addedTokens(
  files: TokenizerFiles,
  builder: Pick<TokenizerBuilder, "names">,
  vocabulary: Vocabulary,
  { maskTakesBlank = false, appended = [], others = [] }: AddedTokenRules = {},
): AddedTokens {
  const contentOf = (role: SpecialRole): string => files.token(role) ?? builder.names[role];
  const { where } = vocabulary;
  const own: readonly NamedToken[] = [
    ...specialRoles.map((role) => ({
      content: contentOf(role),
      special: true,
      lstrip: role === "mask" && maskTakesBlank,
      where,
    })),
    ...others.map((other) => ({ special: true, where, ...other })),
  ];
  const tokens = new Map<string, NamedToken>();
  for (const token of [...own, ...files.named]) {
    const before = tokens.get(token.content);
    tokens.set(token.content, {
      ...before,
      ...token,
      special: token.special || (before?.special ?? false),
    });
  }
  const behindAll = new Set(appended.map(contentOf));
  // What a folder names and does not have would get an id that the word table does not have either.
  const given = [...tokens.values()].filter(
    ({ content, id }) => vocabulary.ids.has(content) || id !== undefined || behindAll.has(content),
  );
  // Those with ids of their own first, as the others take what is left behind them.
  const behind = given
    .filter(({ content }) => !vocabulary.ids.has(content))
    .sort((a, b) => (a.id ?? idLimit) - (b.id ?? idLimit));
  const next = new Map(behind.map(({ content }, i) => [content, vocabulary.ids.size + i]));
  const ids = new Map<string, number>();
  for (const { content, id, where } of given) {
    const expected = vocabulary.ids.get(content) ?? next.get(content)!;
    if (id !== undefined && id !== expected) {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${where}: ${shown(content)}: expected id ${expected}, got ${id}.`,
        { hint: "The ids of added tokens follow those of the vocabulary without a gap." },
      );
    }
    ids.set(content, expected);
  }
  const list = given
    .map((token) => ({
      id: ids.get(token.content)!,
      content: token.content,
      single_word: token.singleWord ?? false,
      lstrip: token.lstrip ?? false,
      rstrip: token.rstrip ?? false,
      normalized: token.normalized ?? !token.special,
      special: token.special,
    }))
    .sort((a, b) => a.id - b.id);
  return {
    list,
    idOf(role) {
      const content = contentOf(role);
      const id = ids.get(content);
      if (id !== undefined) return [content, id];
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${vocabulary.where}: expected the ${role} token ${shown(content)}, it has none.`,
        { hint: "It may have another name: say it in special_tokens_map.json." },
      );
    },
  };
}

/**
 * The ids of a vocabulary that a JSON object gives.
 * @throws BACKBONE_INVALID naming the piece with an id that is none, or another's
 */
export function vocabularyOf(json: Json, where: string): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  const pieces = new Map<number, string>();
  for (const [piece, id] of Object.entries(json)) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= idLimit) {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${where}: ${shown(piece)}: expected an id, got ${shown(id)}.`,
      );
    }
    const other = pieces.get(id);
    if (other !== undefined) {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${where}: ${shown(piece)}: expected an id of its own, got ${id}, the id of ${shown(other)}.`,
      );
    }
    pieces.set(id, piece);
    ids.set(piece, id);
  }
  return ids;
}
