import type { Backbone } from "../backbones/index.ts";
import type { Dataset, TextExample } from "../data/index.ts";
import { ClassificationMetrics, type Scores } from "../metrics/index.ts";
import { embedTexts } from "../predict/index.ts";
import { fitLogisticRegression, type SparseRows, sparseRows } from "./logistic-regression.ts";
import { TfidfVectorizer } from "./tfidf.ts";

/** What one simple classifier reaches. */
export interface BaselineScore {
  readonly name: string;
  readonly scores: Scores;
}

/** Inverse strengths of regularisation that are tried; dev decides, where there is one. */
const strengths = [1, 10, 100];

/**
 * Scores of simple classifiers on the same split, to hold a result against: always the most frequent label,
 * TF-IDF + logistic regression, and, given a backbone, logistic regression on its frozen, mean-pooled
 * embeddings.
 */
export async function baselineScores(
  data: Dataset,
  test: readonly TextExample[],
  backbone?: Backbone,
): Promise<BaselineScore[]> {
  const { labels } = data;
  const numbers = new Map(labels.map((label, i) => [label, i]));
  const gold = (examples: readonly TextExample[]): number[] =>
    examples.map(({ label }) => numbers.get(label!)!);
  const text = ({ text: first, pair }: TextExample): string =>
    pair === undefined ? first : `${first} ${pair}`;
  const score = (predicted: ArrayLike<number>, examples: readonly TextExample[]): Scores => {
    const metrics = new ClassificationMetrics(labels.length);
    for (const [i, label] of gold(examples).entries()) metrics.add(predicted[i]!, label);
    return metrics.result();
  };
  const counts = new Int32Array(labels.length);
  for (const label of gold(data.train)) counts[label]!++;
  const majority = counts.indexOf(Math.max(...counts));

  const regression = (features: (examples: readonly TextExample[]) => SparseRows): Scores => {
    const [train, dev] = [features(data.train), features(data.dev)];
    const fitted = strengths.map((C) => {
      const model = fitLogisticRegression(train, gold(data.train), labels.length, { C });
      return { model, dev: data.dev.length === 0 ? 0 : score(model.predict(dev), data.dev).accuracy! };
    });
    const best = fitted.reduce((a, b) => (b.dev > a.dev ? b : a));
    return score(best.model.predict(features(test)), test);
  };

  const vectorizer = new TfidfVectorizer(data.train.map(text));
  const results: BaselineScore[] = [
    { name: "majority class", scores: score(new Int32Array(test.length).fill(majority), test) },
    {
      name: "TF-IDF + logistic regression",
      scores: regression((examples) => vectorizer.transform(examples.map(text))),
    },
  ];
  if (backbone !== undefined) {
    const sets = await Promise.all([data.train, data.dev, test].map((set) => embeddings(set, backbone)));
    const features = new Map([data.train, data.dev, test].map((set, i) => [set, sets[i]!]));
    results.push({
      name: "frozen embeddings + logistic regression",
      scores: regression((examples) => features.get(examples)!),
    });
  }
  return results;
}

async function embeddings(examples: readonly TextExample[], backbone: Backbone): Promise<SparseRows> {
  const inputs = examples.map(({ text, pair }) => (pair === undefined ? text : ([text, pair] as const)));
  const vectors = await embedTexts(inputs, backbone);
  return sparseRows(
    vectors.map((vector) => new Map(vector.entries())),
    backbone.config.hiddenSize,
  );
}
