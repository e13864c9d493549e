import * as z from "zod";
import { formatConfig, mapPaths, parseConfig, type RunConfig, refuseForbiddenKeys } from "../config/index.ts";
import { messageOf, PtuningError } from "../core/index.ts";
import {
  type Inputs,
  type Trial,
  type TrialError,
  type TrialTrainEvent,
  trialIdPattern,
} from "../trials/index.ts";
import { fromRooted, makeRooted, toRooted } from "./rooted.ts";

/** A trial as the queue carries it: no absolute path, nothing that belongs to one machine. */
export interface TrialJob {
  readonly version: 1;
  readonly id: string;
  /** Folder of the trials, from the root. */
  readonly folder: string;
  /** As YAML; paths begin with `./` and are from the root. */
  readonly config: string;
  readonly overrides: Readonly<Record<string, unknown>>;
  /** The trial runs on nothing but these. */
  readonly inputs: Inputs;
}

/** The job of a trial in the queue, which refuses names of digits alone. */
export function jobId(trial: string): string {
  return `trial-${trial}`;
}

/** The trial that a job is of. */
export function trialId(job: string): string {
  return job.replace(/^trial-/, "");
}

/** Longer configurations are no configurations. */
const mostConfigCharacters = 100_000;

const jobSchema: z.ZodType<TrialJob> = z.strictObject({
  version: z.literal(1),
  id: z.string().regex(trialIdPattern),
  folder: z.string().max(1000),
  config: z.string().max(mostConfigCharacters),
  overrides: z.record(z.string().regex(/^\w+(\.\w+)*$/), z.json()),
  inputs: z.strictObject({ data: z.string().max(200), backbone: z.string().max(200) }),
});

/** What a worker tells of a trial that it runs. */
export type JobProgress =
  | { readonly type: "trial-start"; readonly resumed: boolean }
  | { readonly type: "trial-progress"; readonly event: TrialTrainEvent };

/** Names that a hub or the catalog knows; anything else could be a path. */
const backboneName = /^\.\/|^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/;

/** A trial as a job. @throws QUEUE_FAILED if a file lies outside of the root */
export async function toJob(trial: Trial, folder: string, inputs: Inputs, root: string): Promise<TrialJob> {
  // Where it writes and how it uses a machine is the worker's business.
  const { engine, output, ...config } = trial.config;
  const rooted = await mapPaths(config as RunConfig, (path) => toRooted(root, path));
  return {
    version: 1,
    id: trial.id,
    folder: toRooted(root, folder),
    config: formatConfig(rooted),
    overrides: trial.overrides,
    inputs,
  };
}

/**
 * The trial of a job, which anyone with access to Redis may have written.
 * @throws QUEUE_FAILED if it is not valid, or a path is not under the root
 */
export async function openJob(
  data: unknown,
  root: string,
): Promise<{ trial: Trial; folder: string; inputs: Inputs }> {
  refuseForbiddenKeys(data, (key) => invalid(`the key "${key}" is not allowed.`));
  const parsed = jobSchema.safeParse(data);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const { id, overrides, inputs, folder } = parsed.data;
  const { engine, output, search, ...given } = parse(parsed.data.config);
  if (!backboneName.test(given.backbone))
    throw invalid(`backbone: expected a name or a path of the form ./folder, got "${given.backbone}".`);
  const config = await mapPaths({ ...given, engine: {} }, (path) => fromRooted(root, path));
  return { trial: { id, config, overrides }, folder: await makeRooted(root, folder), inputs };
}

function parse(text: string): RunConfig {
  try {
    return parseConfig({ text, where: "job" });
  } catch (error) {
    throw invalid(messageOf(error));
  }
}

/** An error as the text that the queue keeps of a failed job. */
export function encodeError(error: unknown): string {
  const known = error instanceof PtuningError ? error : undefined;
  const { code = "DEFECT", hint } = known ?? {};
  return JSON.stringify({ code, message: messageOf(error), ...(hint && { hint }) });
}

const errorSchema = z.object({ code: z.string(), message: z.string(), hint: z.string().exactOptional() });

/** The error of a failed job; texts of the queue itself are kept as messages. */
export function decodeError(text: string): TrialError {
  try {
    return errorSchema.parse(JSON.parse(text));
  } catch {
    return { code: "QUEUE_FAILED", message: text };
  }
}

function invalid(reason: string): PtuningError {
  return new PtuningError("QUEUE_FAILED", `job: expected a trial: ${reason}`, {
    hint: "Only ptuning sweep should write to this queue; keep Redis private.",
  });
}
