import * as z from "zod";
import { formatConfig, mapPaths, parseConfig, type RunConfig, refuseForbiddenKeys } from "../config/index.ts";
import { messageOf, PtuningError } from "../core/index.ts";
import { hashText, packageVersion } from "../files/index.ts";
import {
  canonicalJson,
  type Inputs,
  type Trial,
  type TrialError,
  type TrialOrigin,
  type TrialTrainEvent,
  trialIdPattern,
} from "../trials/index.ts";
import { fromRooted, makeRooted, toRooted } from "./rooted.ts";

/** A trial as the queue carries it: no absolute path, nothing that belongs to one machine. */
export interface TrialJob {
  readonly version: 2;
  /** Of the trial, and of its folder. */
  readonly id: string;
  /** Folder of the trials, from the root. */
  readonly folder: string;
  /** As YAML; paths begin with `./` and are from the root. */
  readonly config: string;
  readonly overrides: Readonly<Record<string, unknown>>;
  /** The trial runs on nothing but these. */
  readonly inputs: Inputs;
  /** Version of this package that made it, and that runs it: others may compute other numbers. */
  readonly package: string;
}

/**
 * The name of a job in the queue, told from all that it says: equal jobs are one, and one that differs in data, backbone,
 * folder, version or any setting is another. Whoever trusts a job computes it again.
 */
export function jobId(job: TrialJob): string {
  return `trial-${hashText(canonicalJson(job)).slice(0, 32)}`;
}

/** Of what the result of a job is. */
export function originOf({ package: version, ...job }: TrialJob): TrialOrigin {
  return { identity: hashText(canonicalJson(job)).slice(0, 32), version };
}

/** Longer configurations are no configurations. */
const mostConfigCharacters = 100_000;

const jobSchema: z.ZodType<TrialJob> = z.strictObject({
  version: z.literal(2),
  id: z.string().regex(trialIdPattern),
  folder: z.string().max(1000),
  config: z.string().max(mostConfigCharacters),
  overrides: z.record(z.string().regex(/^\w+(\.\w+)*$/), z.json()),
  inputs: z.strictObject({ data: z.string().max(200), backbone: z.string().max(200) }),
  package: z.string().max(100),
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
    version: 2,
    id: trial.id,
    folder: toRooted(root, folder),
    config: formatConfig(rooted),
    overrides: trial.overrides,
    inputs: { data: inputs.data, backbone: inputs.backbone },
    package: packageVersion(),
  };
}

/**
 * The trial of a job, which anyone with access to Redis may have written.
 * @param id name of the job in the queue
 * @throws QUEUE_FAILED if it is not valid, its id is not that of its content, or a path is not under the root;
 *   INPUT_CHANGED if it is of another version of this package; DATA_NOT_FOUND if a file is missing here
 */
export async function openJob(
  data: unknown,
  root: string,
  id?: string,
): Promise<{ trial: Trial; folder: string; inputs: Inputs; origin: TrialOrigin }> {
  if ((data as { version?: unknown } | null)?.version === 1) {
    throw new PtuningError(
      "QUEUE_FAILED",
      "job: expected one of this version of ptuning, got one of an earlier.",
      {
        hint: "Start its sweep again with this version: trials that have a result are not run again.",
      },
    );
  }
  refuseForbiddenKeys(data, (key) => invalid(`the key "${key}" is not allowed.`));
  const parsed = jobSchema.safeParse(data);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const { overrides, inputs, folder } = parsed.data;
  if (id !== undefined && id !== jobId(parsed.data)) throw invalid("its id is that of another job.");
  if (parsed.data.package !== packageVersion()) {
    throw new PtuningError(
      "INPUT_CHANGED",
      `job: expected one of ptuning ${packageVersion()}, got one of ${parsed.data.package}.`,
      {
        hint: "Results of two versions cannot be compared: run the same one for the sweep and on every worker.",
      },
    );
  }
  const { engine, output, search, ...given } = parse(parsed.data.config);
  if (!backboneName.test(given.backbone))
    throw invalid(`backbone: expected a name or a path of the form ./folder, got "${given.backbone}".`);
  const config = await mapPaths({ ...given, engine: {} }, (path) => fromRooted(root, path));
  const trial: Trial = { id: parsed.data.id, config, overrides };
  return { trial, folder: await makeRooted(root, folder), inputs, origin: originOf(parsed.data) };
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
