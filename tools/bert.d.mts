/** What draws weights and writes them. */
export interface BertLibrary {
  readonly rng: { normal(): number };
  // biome-ignore lint/suspicious/noExplicitAny: of any commit
  readonly encodeSafetensors: (tensors: any, metadata?: any) => Uint8Array;
}

/** As transformers writes it. */
export interface BertConfig {
  readonly model_type: string;
  readonly vocab_size: number;
  readonly type_vocab_size: number;
  readonly max_position_embeddings: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly [key: string]: unknown;
}

/** What a checkpoint calls the parts of its masked-LM head. */
export interface LmHeadNames {
  readonly dense: string;
  readonly norm: string;
  readonly bias: string;
}

/** What there is beside the encoder. */
export interface BertParts {
  /** Default true. */
  readonly pooler?: boolean;
  readonly lmHead?: LmHeadNames;
}

export function words(count: number): string[];
export function writeBert(folder: string, library: BertLibrary, config: BertConfig, parts?: BertParts): void;
export function writeWordBert(
  folder: string,
  library: BertLibrary,
  config: BertConfig,
  parts?: BertParts,
): string;
