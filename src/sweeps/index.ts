export { readSweepConfig } from "./folder.ts";
export { type Importance, importances } from "./importance.ts";
export { type Levels, levelsOf } from "./levels.ts";
export { drawPoints, gridPoints, type Point, type Space } from "./space.ts";
export { type ScoreOf, type Search, type Strategy, strategies } from "./strategies.ts";
export {
  type SweepDoneEvent,
  type SweepEvent,
  type SweepOptions,
  type SweepStartEvent,
  sweep,
} from "./sweep.ts";
