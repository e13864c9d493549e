export { affine, steadyAffine } from "./affine.ts";
export {
  type AttentionOptions,
  type AttentionPositions,
  attention,
  attentionMask,
  behindColumns,
  type LayerPrompt,
  maskedLogit,
  type Projected,
  rowsPerExample,
  type WantedRows,
} from "./attention.ts";
export type { LayerContext } from "./context.ts";
export { Dropout, type DropoutPlan, dropoutBankBytes, dropoutBanks, dropoutOffsets } from "./dropout.ts";
export type { FrozenLinear, StoredForm, StoredTensor, WeightForm } from "./forms/form.ts";
export { type FormName, formNames, formOf, weightForms } from "./forms/registry.ts";
export { activations, dropout, embedding, layerNorm } from "./layers.ts";
export { type LinearOptions, linear } from "./linear.ts";
export { binaryCrossEntropy, crossEntropy, positionCrossEntropy, squaredError } from "./loss.ts";
export { type LstmWeights, lstm } from "./lstm.ts";
