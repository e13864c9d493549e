export { type BaselineScore, baselineScores } from "./baselines.ts";
export { TfidfVectorizer } from "./tfidf.ts";
