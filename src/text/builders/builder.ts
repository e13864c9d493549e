/** A `tokenizer.json`, or a part of it. */
export type Json = Readonly<Record<string, unknown>>;

/** What special tokens are for. */
export const specialRoles = ["unk", "sep", "pad", "cls", "mask"] as const;

/** One of {@link specialRoles}. */
export type SpecialRole = (typeof specialRoles)[number];

/** A special token that a folder's settings name, with what they say of it. */
export interface NamedToken {
  readonly content: string;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly singleWord?: boolean;
  /** Whether it is looked for in the normalised text; default only if it is not special. */
  readonly normalized?: boolean;
  /** Its id; default where the vocabulary has it, else behind the vocabulary. */
  readonly id?: number;
  readonly special: boolean;
  /** The file that names it. */
  readonly where: string;
}

/** The files of a folder that say how its tokenizer works. */
export interface TokenizerFiles {
  /** For messages: what a file is called. */
  where(name: string): string;
  /** `tokenizer_config.json` over `special_tokens_map.json`. */
  readonly settings: Json;
  /** The special token that the settings give a role. */
  token(role: SpecialRole): string | undefined;
  /** Tokens beside the vocabulary: roles of the settings, `additional_special_tokens`, `added_tokens_decoder`, `added_tokens.json`. */
  readonly named: readonly NamedToken[];
  /** @throws BACKBONE_INVALID if it is missing or cannot be read */
  bytes(name: string): Promise<Uint8Array>;
  /** UTF-8. @throws BACKBONE_INVALID as {@link bytes} */
  text(name: string): Promise<string>;
  /** @throws BACKBONE_INVALID also if it is no JSON object */
  json(name: string): Promise<Json>;
}

/** Makes the `tokenizer.json` that a folder lacks from the files that it has. */
export interface TokenizerBuilder {
  /** Values of `model_type` in `config.json`. */
  readonly modelTypes: readonly string[];
  /** Values of `tokenizer_class`, without the ending Fast: what it names goes before `model_type`. */
  readonly classes: readonly string[];
  /** Files that are needed; of a list one, the first that is there. */
  readonly files: readonly (readonly string[])[];
  /** Special tokens of checkpoints whose settings do not say. */
  readonly names: { readonly [R in SpecialRole]: string };
  /** The token that opens an answer to a gap, in vocabularies of models that fill gaps so. */
  readonly start?: string;
  /**
   * @param files name the file of each list in `this.files`
   * @throws BACKBONE_INVALID naming the file and the place in it
   */
  build(files: TokenizerFiles, names: readonly string[]): Promise<Json>;
}

/** The parts that every `tokenizer.json` has, around those that tell tokenizers apart. */
export const definition = (parts: {
  readonly added_tokens: readonly Json[];
  readonly normalizer: Json | null;
  readonly pre_tokenizer: Json | null;
  readonly post_processor: Json;
  readonly decoder: Json;
  readonly model: Json;
}): Json => ({ version: "1.0", truncation: null, padding: null, ...parts });
