/** Told as bytes arrive. */
export type ProgressListener = (progress: TransferProgress) => void;

/** How far a download is. */
export interface TransferProgress {
  /** What is being fetched. */
  readonly name: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}
