export { type ComparisonFolder, forgetFailures, openComparison } from "./folder.ts";
export {
  type ComparisonOptions,
  type ComparisonPlan,
  type PlannedVariant,
  planComparison,
  type VariantSetting,
} from "./plan.ts";
export type { ComparedBackbone, Ground, Preset, Variant } from "./preset.ts";
export { presetOf, presets } from "./registry.ts";
export {
  type ComparisonEvent,
  type ComparisonRunEvent,
  type ComparisonStateEvent,
  type RunName,
  runComparison,
} from "./run.ts";
