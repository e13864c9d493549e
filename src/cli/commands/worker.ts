import { runWorker, type WorkerEvent } from "../../queue/index.ts";
import { formatDuration } from "../../report/index.ts";
import { aboveZero, positive } from "../numbers.ts";
import { goOnUnread } from "../readers.ts";
import { stopping } from "../stop.ts";
import { note, print, printJson, progressLine, style, warn } from "../terminal.ts";

interface WorkerFlags {
  readonly queue: string;
  readonly root: string;
  readonly workers?: string;
  readonly threads?: string;
  readonly lockSeconds?: string;
  readonly silenceMinutes?: string;
  readonly json?: boolean;
}

export async function workerCommand(flags: WorkerFlags): Promise<void> {
  const { queue: url, root, workers, threads, lockSeconds, silenceMinutes } = flags;
  const tell = flags.json ? tellJson : tellText;
  goOnUnread();
  stopping.says("Stopping after the current steps; other workers go on from there …");
  const events = runWorker({
    url,
    root,
    ...(workers !== undefined && { workers: positive("--workers", workers) }),
    ...(threads !== undefined && { threads: positive("--threads", threads) }),
    ...(lockSeconds !== undefined && { lockSeconds: positive("--lock-seconds", lockSeconds) }),
    ...(silenceMinutes !== undefined && {
      silenceMinutes: aboveZero("--silence-minutes", silenceMinutes),
    }),
    signal: stopping.signal,
  });
  for await (const event of events) tell(event);
  progressLine.clear();
  if (stopping.exitCode !== undefined) process.exitCode = stopping.exitCode;
}

/** Of the steps inside trials nothing but evaluations. */
function tellJson(event: WorkerEvent): void {
  if (event.type === "trial-progress" && event.event.type !== "evaluation") return;
  if (event.type === "job-refused") {
    const { code, message } = event.error;
    printJson({ type: event.type, id: event.id, code, message });
  } else printJson("trial" in event ? { ...event, trial: event.trial.id } : event);
}

function tellText(event: WorkerEvent): void {
  switch (event.type) {
    case "worker-ready":
      note(`Waiting for trials: ${event.workers} at a time, threads ${event.threads} each.`);
      break;
    case "trial-start":
      print(`${event.trial.id}  ${event.resumed ? "goes on" : "begins"}`);
      break;
    case "trial-progress":
      if (event.event.type === "step") progressLine.update(`${event.trial.id}  step ${event.event.step}`);
      break;
    case "trial-done": {
      progressLine.clear();
      const { trial, result } = event;
      if (result.status === "failed") print(`${trial.id}  ${style("red", "failed")}  ${result.error.code}`);
      else {
        const score = result.dev?.[result.selectBy]?.toFixed(4) ?? "no dev score";
        print(`${trial.id}  ${result.selectBy} ${score}  ${style("dim", formatDuration(result.seconds))}`);
      }
      break;
    }
    case "job-refused":
      warn(`job ${event.id}: ${event.error.message}`);
      break;
    case "trial-lost":
      warn(`${event.id}: another worker may have it by now; it is stopped here.`);
      break;
    case "queue-error":
      warn(`Redis: ${event.message}`);
      break;
  }
}
