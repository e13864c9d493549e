export { bareFeatures, type FeatureSource, headFeatures, holdsAll, sideBySide } from "./features.ts";
export {
  fitInSteps,
  fitLogisticRegression,
  type LogisticRegression,
  type SparseRows,
  sparseRows,
} from "./logistic-regression.ts";
export { type MinimiseOptions, minimise, type WantedPoint } from "./minimise.ts";
export { fitProbe, type Probe, type ProbeData, probeFeatures } from "./probe.ts";
export {
  type Features,
  type FitTask,
  type FittedReadout,
  fitReadout,
  linearOutputs,
  type ReadoutData,
} from "./readout.ts";
