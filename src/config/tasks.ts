import { familyOf, type Task } from "../tasks/index.ts";
import type { TrainedTask } from "../train/index.ts";
import type { AnyRunConfig, MultiTaskConfig, RunConfig } from "./config.ts";
import { asParted, type CompleteConfig, completeConfig, holdingBack, readData, taskOf } from "./resolve.ts";

/** A configuration of one task or several that leaves nothing open about data and tasks. */
export type CompleteRunConfig =
  | CompleteConfig
  | (MultiTaskConfig & { readonly tasks: Readonly<Record<string, Pick<CompleteConfig, "data" | "task">>> });

/** The configuration of each task as that of a run of its own; under "" where there is only one. */
export function taskConfigs(config: CompleteRunConfig): Readonly<Record<string, CompleteConfig>>;
export function taskConfigs(config: AnyRunConfig): Readonly<Record<string, RunConfig>>;
export function taskConfigs(config: AnyRunConfig): Readonly<Record<string, RunConfig>> {
  if (!("tasks" in config)) return { "": config };
  const { tasks, ...shared } = config;
  return Object.fromEntries(
    Object.entries(tasks).map(([name, { data, task }]) => [name, { ...shared, data, task }]),
  );
}

/** Does for every task what `completeConfig` does for one. */
export async function completeRunConfig(config: AnyRunConfig): Promise<CompleteRunConfig> {
  if (!("tasks" in config)) return completeConfig(config);
  const tasks: Record<string, Pick<CompleteConfig, "data" | "task">> = {};
  for (const [name, one] of Object.entries(taskConfigs(config))) {
    const { data, task } = holdingBack(await completeConfig(one));
    tasks[name] = { ...config.tasks[name], data, task };
  }
  return { ...config, tasks };
}

/** The configuration with the data as it was parted. */
export function settledConfig(
  config: CompleteRunConfig,
  tasks: Readonly<Record<string, Pick<TrainedTask, "data">>>,
): CompleteRunConfig {
  return "tasks" in config ? config : asParted(config, tasks[""]!.data);
}

type SavedTasks = Readonly<Record<string, Pick<Task, "type" | "options">>>;

/**
 * Reads the data of every task and makes the tasks; under "" where there is only one.
 * @param begun of a run that goes on, the tasks as its state holds them
 */
export async function readTasks(
  config: CompleteRunConfig,
  begun: SavedTasks = {},
): Promise<Readonly<Record<string, TrainedTask>>> {
  const tasks: Record<string, TrainedTask> = {};
  for (const [name, one] of Object.entries(taskConfigs(config))) {
    const data = await readData(one);
    const { weight, selectBy } = ("tasks" in config ? config.tasks[name] : undefined) ?? {};
    tasks[name] = {
      task: taskOf({ ...one, task: { ...laterSettings(begun[name]), ...one.task } }, data),
      data,
      ...(weight !== undefined && { weight }),
      ...(selectBy !== undefined && { selectBy }),
    };
  }
  return tasks;
}

/** The settings that there were not when a task was saved, as they are read from what lacks them. */
function laterSettings(saved: SavedTasks[string] | undefined): object {
  if (saved === undefined) return {};
  const { data = {} } = familyOf(saved.type).saved.safeParse(saved.options);
  return Object.fromEntries(Object.entries(data).filter(([key]) => !Object.hasOwn(saved.options, key)));
}
