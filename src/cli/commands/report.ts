import { type Adapter, headOf, openAdapter, type SavedAdapter } from "../../adapters/index.ts";
import { type Backbone, loadBackbone } from "../../backbones/index.ts";
import {
  type AnyRunConfig,
  completeRunConfig,
  type RunConfig,
  readTasks,
  taskConfigs,
} from "../../config/index.ts";
import { PtuningError } from "../../core/index.ts";
import type { Dataset } from "../../data/index.ts";
import { nodeEngine } from "../../engine/index.ts";
import { expectWritable } from "../../files/index.ts";
import { createPredictor } from "../../predict/index.ts";
import { holdsRun, type ReportedTask, readRunConfig, runStatus, writeReport } from "../../runs/index.ts";
import type { Review } from "../../tasks/index.ts";
import type { TrainedTask } from "../../train/index.ts";
import { adapterFolder } from "../adapter-folder.ts";
import { threadsOf } from "../numbers.ts";
import { stopping } from "../stop.ts";
import { print, warn } from "../terminal.ts";

/** Makes the report of a run from what is still there: log and results in the folder, data and backbone elsewhere. */
export async function reportCommand(
  folder: string,
  { threads }: { readonly threads?: string },
): Promise<void> {
  const given = threadsOf(threads);
  const config = await readRunConfig(folder);
  if (!(await holdsRun(folder))) {
    throw new PtuningError(
      "RUN_INVALID",
      `${folder}: expected a run, got a configuration and no log of ours.`,
      {
        hint: "A report replaces report.html: it is only written into the folder of a run.",
      },
    );
  }
  await expectWritable(folder);
  const notes: string[] = [];
  /** A part of the report that may be out of reach by now. */
  const attempt = async <T>(what: string, get: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await get();
    } catch (error) {
      if (!(error instanceof PtuningError)) throw error;
      notes.push(`Without ${what}: ${error.message}`);
      return undefined;
    }
  };
  const isFinished = (await runStatus(folder)) === "finished";
  const saved = isFinished ? await openAdapter(await adapterFolder(folder)) : undefined;
  const known = await attempt("the data", () => readUnchanged(config, saved));
  const backbone = await attempt("the backbone", () =>
    loadBackbone(config.backbone, {
      engine: nodeEngine({ ...config.engine, ...given }),
      offline: true,
      signal: stopping.signal,
    }),
  );
  try {
    const tasks: Record<string, ReportedTask> = {};
    for (const name of Object.keys(taskConfigs(config))) {
      const { data } = known?.[name] ?? {};
      const adapter = saved && headOf(saved, name);
      const task = adapter?.task ?? known?.[name]?.task;
      const review =
        data && backbone && adapter ? await reviewOf(adapter, backbone, data, config.training) : undefined;
      tasks[name] = { ...(task && { task }), ...(data && { data }), ...(review && { review }) };
    }
    for (const note of notes) warn(note);
    const path = await writeReport(folder, {
      config,
      notes,
      ...(tasks[""] ?? { tasks }),
      ...(backbone && { backbone }),
    });
    print(path);
  } finally {
    await backbone?.close();
  }
}

/** The data and tasks of the run. @throws RUN_INVALID if its files were changed since */
async function readUnchanged(
  config: AnyRunConfig,
  saved: SavedAdapter | undefined,
): Promise<Readonly<Record<string, TrainedTask>>> {
  const tasks = await readTasks(await completeRunConfig(config));
  for (const [name, { data }] of Object.entries(tasks)) {
    const known = saved && headOf(saved, name).provenance.data?.fingerprint;
    if (known !== undefined && known !== data.fingerprint) {
      throw new PtuningError("RUN_INVALID", "its files have changed since the run.");
    }
  }
  return tasks;
}

async function reviewOf(
  adapter: Adapter,
  backbone: Backbone,
  data: Dataset<unknown>,
  { precision }: RunConfig["training"],
): Promise<Review | undefined> {
  if (data.dev.length === 0) return undefined;
  // As the run did, so that the page comes out the same.
  const { signal } = stopping;
  await using predictor = await createPredictor(adapter, backbone, {
    signal,
    ...(precision && { precision }),
  });
  return await predictor.review(data.dev, { signal });
}
