export {
  fitInSteps,
  fitLogisticRegression,
  type LogisticRegression,
  type SparseRows,
  sparseRows,
} from "./logistic-regression.ts";
export { type MinimiseOptions, minimise, type WantedPoint } from "./minimise.ts";
export { type Features, type FitTask, type FittedReadout, fitReadout, type ReadoutData } from "./readout.ts";
