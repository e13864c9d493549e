export { type BaselineScore, baselineScores } from "./baselines.ts";
export {
  fitLogisticRegression,
  type LogisticRegression,
  type SparseRows,
  sparseRows,
} from "./logistic-regression.ts";
export { TfidfVectorizer } from "./tfidf.ts";
