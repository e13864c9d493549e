export { embedTexts } from "./embed.ts";
export { evaluateSession, type ForwardBatch, forward } from "./forward.ts";
export { createPredictor, type Predictor, type PredictorOptions } from "./predictor.ts";
