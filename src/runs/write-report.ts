import { basename, join, resolve } from "node:path";
import type { Backbone } from "../backbones/index.ts";
import { checkData } from "../checks/index.ts";
import { methodOf, type RunConfig, redact } from "../config/index.ts";
import { type Dataset, exampleKinds, type KindDescription } from "../data/index.ts";
import { packageVersion, writeFileAtomic } from "../files/index.ts";
import { longestInput } from "../model/index.ts";
import { type RunReport, renderReport } from "../report/index.ts";
import type { Review, Task } from "../tasks/index.ts";
import { readRunLog } from "./log.ts";
import { names, readRunResult } from "./run-folder.ts";

/** What a report shows beside the log; what is absent is left out. */
export interface ReportParts {
  readonly config: RunConfig;
  readonly task?: Task;
  readonly data?: Dataset<unknown>;
  /** For lengths in tokens. */
  readonly backbone?: Backbone;
  /** Of `data.dev`, by the state that was kept. */
  readonly review?: Review;
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
  const { config, task, data, backbone, review, notes = [] } = parts;
  const log = await readRunLog(folder);
  const result = await readRunResult(folder);
  const method = methodOf(config);
  const kind = task && (exampleKinds[task.reads] as KindDescription<unknown>);
  const { start } = log;
  const limits = task &&
    start &&
    backbone && {
      tokenizer: backbone.tokenizer,
      maxLength: start.settings.maxLength,
      longest: longestInput({ backbone, method, head: task.head }),
    };
  const { type, ...taskOptions } = config.task;
  return {
    name: basename(resolve(folder)),
    task: type ?? task?.type ?? "",
    ...log,
    ...(result && { result }),
    ...(task && data && { checks: await checkData(data, task, limits) }),
    ...(review &&
      kind &&
      data && {
        dev: {
          review,
          example(index) {
            const example = data.dev[index];
            const { line } = example as { readonly line?: number };
            return { texts: kind.texts(example), ...(line !== undefined && { line }) };
          },
        },
      }),
    settings: redact({
      data: { ...config.data },
      task: { type, ...(task?.options ?? taskOptions) },
      method: { backbone: config.backbone, name: method.name, ...method.options },
      training: { ...(start?.settings ?? config.training) },
    }),
    notes,
    createdAt: new Date().toISOString(),
    version: packageVersion(),
  };
}
