/** What a run folder holds. */
export const names = {
  config: "config.yaml",
  /** The configuration of a run that is about to take the place of the one that is there; see `replace.ts`. */
  next: "config.new.yaml",
  events: "events.jsonl",
  state: "state.safetensors",
  adapter: "adapter",
  /** Folder of the adapters that a run of several tasks was split into. */
  adapters: "adapters",
  /** A linear probe that left-out rows like better than the run's adapter. */
  probe: "probe",
  result: "result.json",
  report: "report.html",
  /** Folder of TensorBoard event files. */
  scalars: "tensorboard",
  lock: "run.lock",
} as const;
