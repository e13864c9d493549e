export { embedTexts } from "./embed.ts";
export {
  evaluateSession,
  type ForwardPass,
  forward,
  type OutputPass,
  outputs,
  type PassFeeds,
} from "./forward.ts";
export { createPredictorPool } from "./pool/create.ts";
export type {
  AddOptions,
  PooledAdapter,
  PooledTask,
  PoolRequest,
  PredictorPool,
  PredictorPoolOptions,
  PreparedItem,
  StopOptions,
} from "./pool/pool.ts";
export {
  type Answer,
  type AnswerOptions,
  createPredictor,
  type Predictor,
  type PredictorOptions,
} from "./predictor.ts";
export { settleTask } from "./settle.ts";
export { type ZeroShotOptions, zeroShot } from "./zero-shot.ts";
