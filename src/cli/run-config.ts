import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import {
  type CompleteConfig,
  type CompleteRunConfig,
  completeRunConfig,
  firstPath,
  isConfigFile,
  mapPaths,
  parseConfig,
  parseRunConfig,
  refuseSecrets,
} from "../config/index.ts";
import { messageOf, PtuningError } from "../core/index.ts";
import { readText } from "../files/index.ts";
import { assignmentsOf, saysAnything } from "./run-flags.ts";

/** Options of the command line for `train`. */
export interface TrainFlags {
  readonly set?: readonly string[];
  readonly output?: string;
  readonly overwrite?: boolean;
  readonly resume?: string;
  readonly baselines?: boolean;
  readonly dryRun?: boolean;
  readonly expectData?: string;
  readonly expectBackbone?: string;
  readonly findLr?: boolean;
  readonly json?: boolean;
  readonly [flag: string]: unknown;
}

/** Whether anything but a saved run says what the configuration is. */
export function saysConfig(source: string | undefined, flags: TrainFlags): boolean {
  return source !== undefined || saysAnything(flags) || flags.set !== undefined;
}

/** The configuration from a file, from flags, or from both; paths become absolute, so that a run can be resumed from anywhere. */
export function readConfig(source: string | undefined, flags: TrainFlags): Promise<CompleteConfig>;
/** The same where several tasks may be learnt. */
export function readConfig(
  source: string | undefined,
  flags: TrainFlags,
  tasks: "several",
): Promise<CompleteRunConfig>;
export async function readConfig(
  source: string | undefined,
  flags: TrainFlags,
  tasks?: "several",
): Promise<CompleteRunConfig> {
  const isConfig = source !== undefined && (await isConfigFile(source));
  const assignments = assignmentsOf(flags);
  if (source !== undefined && !isConfig) assignments.unshift(`data.train=${JSON.stringify(source)}`);
  const text = isConfig ? await readConfigFile(source) : "";
  const where = isConfig ? source : "command line";
  const parse = tasks === "several" ? parseRunConfig : parseConfig;
  const config = await completeRunConfig(
    parse({ text, where, overrides: [...assignments, ...(flags.set ?? [])] }),
  );
  const name = basename(isConfig ? source : "data" in config ? firstPath(config.data) : "tasks")
    .replace(/\.(gz)$/, "")
    .replace(/\.[^.]+$/, "");
  const isFolder = await stat(config.backbone).then(
    (status) => status.isDirectory(),
    () => false,
  );
  const given = { ...config, backbone: isFolder ? resolve(config.backbone) : config.backbone };
  const complete = {
    ...(await mapPaths(given, (path) => resolve(path))),
    output: flags.output ?? config.output ?? join("runs", name),
  };
  // Paths have become absolute, and names were taken from them.
  refuseSecrets(complete, () => where);
  return complete;
}

/** A configuration is written by hand. */
const maxConfigBytes = 2 ** 20;

async function readConfigFile(path: string): Promise<string> {
  return readText(path, maxConfigBytes).catch((cause: unknown) => {
    throw new PtuningError(
      "CONFIG_INVALID",
      `${path}: ${messageOf(cause).replace(`${path}: `, "").replace(/\.$/, "")}.`,
      {
        cause,
      },
    );
  });
}
