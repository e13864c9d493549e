/** One labelled text, or pair of texts. */
export interface TextExample {
  readonly text: string;
  /** Second text of a pair. */
  readonly pair?: string;
  /** Absent in data that is only to be predicted. */
  readonly label?: string;
}

/** Labelled examples of a task, split for training. */
export interface Dataset<E = TextExample> {
  readonly train: readonly E[];
  readonly dev: readonly E[];
  readonly test?: readonly E[];
  /** The labels of `train`, sorted. */
  readonly labels: readonly string[];
}
