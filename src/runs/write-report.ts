import { basename, join, resolve } from "node:path";
import type { Backbone } from "../backbones/index.ts";
import { checkData, type LengthLimits } from "../checks/index.ts";
import { type AnyRunConfig, methodOf, redact, taskConfigs } from "../config/index.ts";
import { type Dataset, exampleKinds, type KindDescription } from "../data/index.ts";
import { packageVersion, writeFileAtomic } from "../files/index.ts";
import { longestInput } from "../model/index.ts";
import { type NamedTaskReport, type RunReport, renderReport, type TaskReport } from "../report/index.ts";
import type { Review, Task } from "../tasks/index.ts";
import { readRunLog } from "./log.ts";
import { names } from "./names.ts";
import { readRunResult } from "./run-folder.ts";

/** What a report shows of a task; what is absent is left out. */
export interface ReportedTask {
  readonly task?: Task;
  readonly data?: Dataset<unknown>;
  /** Of `data.dev`, by the state that was kept. */
  readonly review?: Review;
}

/** What a report shows beside the log; what is absent is left out. */
export interface ReportParts extends ReportedTask {
  readonly config: AnyRunConfig;
  /** By name, where there are several. */
  readonly tasks?: Readonly<Record<string, ReportedTask>>;
  /** For lengths in tokens. */
  readonly backbone?: Backbone;
  /** Why something is absent. */
  readonly notes?: readonly string[];
}

/**
 * Writes `report.html` into a run folder, from its log, its results and the given parts.
 * @returns the path
 * @throws STORAGE_FULL
 */
export async function writeReport(folder: string, parts: ReportParts): Promise<string> {
  const path = join(folder, names.report);
  await writeFileAtomic(path, await renderReport(await gather(folder, parts)));
  return path;
}

async function gather(folder: string, parts: ReportParts): Promise<RunReport> {
  const { config, task, backbone, notes = [] } = parts;
  const log = await readRunLog(folder);
  const result = await readRunResult(folder);
  const method = methodOf(config);
  const { start } = log;
  const describe = (one: ReportedTask): Promise<TaskReport> => {
    const limits = one.task &&
      start &&
      backbone && {
        tokenizer: backbone.tokenizer,
        maxLength: start.settings.maxLength,
        longest: longestInput({ backbone, method, head: one.task.head }),
      };
    return describeTask(one, limits);
  };
  const tasks: NamedTaskReport[] = [];
  for (const [name, one] of Object.entries(parts.tasks ?? {})) tasks.push({ name, ...(await describe(one)) });
  const configs = Object.entries(taskConfigs(config));
  const settings = configs.flatMap(([name, one]) => {
    const { type, ...options } = one.task;
    const own = name ? parts.tasks?.[name]?.task : task;
    return [
      [`data ${name}`.trim(), { ...one.data }],
      [`task ${name}`.trim(), { type, ...(own?.options ?? options) }],
    ];
  });
  const types = new Set(configs.flatMap(([, one]) => one.task.type ?? task?.type ?? []));
  return {
    name: basename(resolve(folder)),
    task: [...types].join(", "),
    ...(task?.lowerIsBetter && { lowerIsBetter: task.lowerIsBetter }),
    ...log,
    ...(result && { result }),
    ...(await describe(parts)),
    ...(tasks.length > 0 && { tasks }),
    settings: redact({
      ...Object.fromEntries(settings),
      method: { backbone: config.backbone, name: method.name, ...method.options },
      training: { ...(start?.settings ?? config.training) },
    }),
    notes: [...notes, ...(log.problems ?? [])],
    createdAt: new Date().toISOString(),
    version: packageVersion(),
  };
}

async function describeTask(
  { task, data, review }: ReportedTask,
  limits: LengthLimits | undefined,
): Promise<TaskReport> {
  if (task === undefined || data === undefined) return {};
  const kind = exampleKinds[task.reads] as KindDescription<unknown>;
  return {
    // Hidden before texts are cut: half a token is not told any more.
    checks: redact(await checkData(data, task, limits)),
    ...(review && {
      dev: {
        review: redact(review),
        example(index) {
          const example = data.dev[index];
          const { line } = example as { readonly line?: number };
          return { texts: redact(kind.texts(example)), ...(line !== undefined && { line }) };
        },
      },
    }),
  };
}
