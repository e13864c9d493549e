/** Names of the twin runs; see twin-sets.mjs. */
export type TwinSet =
  | "trec"
  | "rte"
  | "mit-movie-types"
  | "stsb"
  | "copa"
  | "conll04"
  | "squad"
  | "ewt-word"
  | "ewt-token-type";
export interface TwinResult {
  readonly set: TwinSet;
  readonly reference: "peft" | "plain";
  readonly method: string;
  readonly learningRate: number;
  readonly steps: number;
  readonly firstLosses: { readonly count: number; readonly greatestDifference: number };
  readonly allLosses: { readonly greatestDifference: number };
  readonly dev: { readonly rows: number; readonly agreement: number };
  readonly lastLoss: { readonly ours: number; readonly theirs: number };
}
export interface TwinOptions {
  /** Catalog name, hub id or folder; `tiny-roberta`: a random one; default `minilm`. */
  readonly backbone?: string;
  readonly maxLength?: number;
  /** Name of the method; default `p-tuning-v2`. */
  readonly method?: string;
  /** What the other half computes in; default `float32`. */
  readonly dtype?: "float32" | "float64";
  readonly log?: (line: string) => void;
}
export function twin(set: TwinSet, steps: number, options?: TwinOptions): Promise<TwinResult>;
