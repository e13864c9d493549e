export { jobId, openJob, type TrialJob, toJob } from "./job.ts";
export { fromRooted, makeRooted, toRooted } from "./rooted.ts";
export { type QueueRunnerOptions, queueRunner } from "./runner.ts";
export {
  type JobRefusedEvent,
  type QueueErrorEvent,
  runWorker,
  type TrialLostEvent,
  type WorkerEvent,
  type WorkerOptions,
  type WorkerReadyEvent,
} from "./worker.ts";
