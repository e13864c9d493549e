/** One text or pair of texts, with its label if it has one. */
export interface TextExample {
  readonly text: string;
  /** Second text of a pair. */
  readonly pair?: string;
  /** Absent in data that is only to be predicted. */
  readonly label?: string;
  /** Line of the file that it starts on. */
  readonly line?: number;
}

/** Examples from one file. */
export interface ExampleFile<E = TextExample> {
  readonly path: string;
  readonly examples: readonly E[];
  /** SHA-256 of the bytes on disk. */
  readonly sha256: string;
  /** What was noticed and left out, with counts. */
  readonly warnings: readonly string[];
}

/** Labelled examples of a task, split for training. */
export interface Dataset<E = TextExample> {
  readonly train: readonly E[];
  readonly dev: readonly E[];
  readonly test: readonly E[];
  /** The labels of `train` and `dev`, sorted. */
  readonly labels: readonly string[];
  /** SHA-256 over the files that went in. */
  readonly fingerprint: string;
  readonly warnings: readonly string[];
  /** How the files were read, for reading others alike. */
  readonly table?: Readonly<Record<string, unknown>>;
}
