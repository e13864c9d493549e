export {
  type AttentionOptions,
  type AttentionPositions,
  attention,
  attentionMask,
  behindColumns,
  type LayerPrompt,
  type Projected,
  type WantedRows,
} from "./attention.ts";
export type { LayerContext } from "./context.ts";
export { Dropout, type DropoutPlan, dropoutBankBytes, dropoutBanks, dropoutOffsets } from "./dropout.ts";
export { activations, dropout, embedding, layerNorm } from "./layers.ts";
export { affine, linear } from "./linear.ts";
export { binaryCrossEntropy, crossEntropy, positionCrossEntropy, squaredError } from "./loss.ts";
export { type LstmWeights, lstm } from "./lstm.ts";
