export { embedTexts } from "./embed.ts";
export { evaluateSession, type ForwardBatch, forward } from "./forward.ts";
export { createPredictor, type Predictor } from "./predictor.ts";
