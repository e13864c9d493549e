import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { headOf, type SavedAdapter } from "../../adapters/index.ts";
import { type Backbone, loadBackbone } from "../../backbones/index.ts";
import { baselineScores } from "../../baselines/index.ts";
import {
  type CompleteConfig,
  type CompleteRunConfig,
  completeRunConfig,
  firstPath,
  isConfigFile,
  mapPaths,
  methodOf,
  parseConfig,
  parseRunConfig,
  readTasks,
  refuseSecrets,
  taskConfigs,
} from "../../config/index.ts";
import { messageOf, PtuningError, pathWord, shellCommand } from "../../core/index.ts";
import { describeMachine, nodeEngine } from "../../engine/index.ts";
import { expectWritable, packageVersion, readText } from "../../files/index.ts";
import { createPredictor } from "../../predict/index.ts";
import { formatDuration } from "../../report/index.ts";
import {
  createRun,
  expectNoRun,
  expectRunOrNothing,
  type ReportedTask,
  type ReportParts,
  type RunFolder,
  readStart,
  resumeRun,
  writeReport,
} from "../../runs/index.ts";
import type { Task } from "../../tasks/index.ts";
import {
  type AnyTrainOptions,
  type DoneEvent,
  joinEvaluations,
  type TaskEvaluation,
  type TrainedTask,
  train,
} from "../../train/index.ts";
import { parseColumn, parseColumns } from "../columns.ts";

import { tellData } from "../data-line.ts";

import { dryRun } from "../dry-run.ts";

import { exitCodes } from "../exit.ts";
import { findLr } from "../find-lr.ts";
import { aboveZero, positive, whole } from "../numbers.ts";
import { goOnUnread } from "../readers.ts";
import { stopping } from "../stop.ts";
import { downloadReporter, note, print, printJson, style, warn } from "../terminal.ts";
import { jsonReporter, textReporter } from "../train-reporter.ts";
import { predictCommandLine } from "../try-it.ts";

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

/** Flags that are short for keys of the configuration. */
const flagKeys: Readonly<Record<string, readonly [key: string, parse?: (text: string) => unknown]>> = {
  data: ["data.train"],
  task: ["task.type"],
  dev: ["data.dev"],
  test: ["data.test"],
  text: ["data.text", parseColumns],
  label: ["data.label", parseColumn],
  labelPattern: ["data.labelPattern"],
  backbone: ["backbone"],
  preset: ["preset"],
  method: ["method.name"],
  startFrom: ["start.from"],
  startHead: ["start.head"],
  startTask: ["start.task"],
  split: ["report.split"],
  promptLength: ["method.promptLength", (text) => positive("--prompt-length", text)],
  epochs: ["training.epochs", (text) => positive("--epochs", text)],
  batchSize: ["training.batchSize", (text) => positive("--batch-size", text)],
  learningRate: ["training.learningRate", (text) => aboveZero("--learning-rate", text)],
  maxLength: ["training.maxLength", (text) => positive("--max-length", text)],
  precision: ["training.precision"],
  seed: ["training.seed", (text) => whole("--seed", text)],
  threads: ["engine.threads", (text) => positive("--threads", text)],
};

export async function trainCommand(source: string | undefined, flags: TrainFlags): Promise<void> {
  const run = flags.resume === undefined ? undefined : await openResumed(flags.resume, source, flags);
  const config =
    run === undefined ? await readConfig(source, flags, "several") : await completeRunConfig(run.config);
  let folder = run;
  let backbone: Backbone | undefined;
  try {
    if (run === undefined && !flags.dryRun && !flags.findLr) {
      await (flags.overwrite ? expectRunOrNothing : expectNoRun)(config.output!);
      await expectWritable(config.output!);
    }
    // Data first: a mistake there should not wait for a download.
    const tasks = await readTasks(config);
    for (const [name, one] of Object.entries(taskConfigs(config))) {
      tellData(one, tasks[name]!.data, flags.json === true, name);
    }
    backbone = await loadBackbone(config.backbone, {
      engine: nodeEngine(config.engine),
      onProgress: downloadReporter(),
      signal: stopping.signal,
    });
    const fingerprints = Object.values(tasks).map(({ data }) => data.fingerprint);
    expectInput("data", flags.expectData, fingerprints.join("+"));
    expectInput("backbone", flags.expectBackbone, backbone.fingerprint);
    const start = await readStart(config);
    const options: AnyTrainOptions = {
      ...config.training,
      ...("tasks" in config ? { tasks } : tasks[""]!),
      backbone,
      method: methodOf(config),
      ...(start && { start }),
      ...(run?.state && { resume: run.state }),
    };
    if (flags.dryRun) {
      await dryRun(options, flags.json === true);
      return;
    }
    if (flags.findLr) {
      await findLr(options, flags.json === true);
      return;
    }
    const open = async (): Promise<RunFolder> => {
      folder ??= await createRun(config.output!, config, flags.overwrite);
      return folder;
    };
    await trainInto(open, options, tasks, flags);
  } finally {
    await folder?.close();
    await backbone?.close();
  }
}

/** Refuses other bytes than those that were asked for. */
function expectInput(what: string, expected: string | undefined, fingerprint: string): void {
  if (expected === undefined || expected === fingerprint) return;
  throw new PtuningError("INPUT_CHANGED", `${what}: expected ${expected}, got ${fingerprint}.`);
}

/** Whether anything but a saved run says what the configuration is. */
export function saysConfig(source: string | undefined, flags: TrainFlags): boolean {
  const given = Object.keys(flagKeys).some((flag) => flags[flag] !== undefined);
  return source !== undefined || given || flags.set !== undefined;
}

async function openResumed(
  folder: string,
  source: string | undefined,
  flags: TrainFlags,
): Promise<RunFolder> {
  if (saysConfig(source, flags)) {
    throw new PtuningError(
      "OPTION_INVALID",
      "--resume: expected no other settings, they are those of the run.",
    );
  }
  const run = await resumeRun(folder);
  for (const problem of run.problems) warn(problem);
  return run;
}

/** Writes the report, unless the run is to have none. */
async function report(folder: RunFolder, parts: Omit<ReportParts, "config">): Promise<string | undefined> {
  const { config } = folder;
  return config.report.html ? writeReport(folder.folder, { config, ...parts }) : undefined;
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
  const assignments = Object.entries(flagKeys).flatMap(([flag, [key, parse]]) => {
    const given = flags[flag] as string | undefined;
    return given === undefined ? [] : [`${key}=${JSON.stringify(parse ? (parse(given) ?? given) : given)}`];
  });
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

/** @param open gives the run folder; settings that are refused never ask for it, so they make and replace nothing */
async function trainInto(
  open: () => Promise<RunFolder>,
  options: AnyTrainOptions,
  tasks: Tasks,
  flags: TrainFlags,
): Promise<void> {
  goOnUnread();
  const tell = flags.json ? jsonReporter() : textReporter();
  const started = performance.now();
  let folder: RunFolder | undefined;
  let done: DoneEvent<SavedAdapter> | undefined;
  let dataSeconds = 0;
  try {
    for await (const event of train({ ...options, signal: stopping.signal })) {
      folder ??= await open();
      await folder.record(event);
      tell(event);
      if (event.type === "step") dataSeconds += event.dataSeconds;
      if (event.type === "done") done = event;
    }
  } catch (error) {
    // The curves up to there say most about what went wrong.
    if (stopping.signal.aborted && !folder) note("Stopped before the run began: nothing was written.");
    if (folder) await report(folder, { ...reported(tasks), notes: [messageOf(error)] }).catch(() => {});
    throw error;
  }
  if (done!.reason === "aborted") {
    await report(folder!, reported(tasks));
    const resume = shellCommand("ptuning", "train", "--resume", pathWord(folder!.folder));
    note(`Stopped at step ${done!.step}. Go on with: ${resume}`);
    process.exitCode = stopping.exitCode ?? exitCodes.interrupted;
    return;
  }
  const seconds = { seconds: (performance.now() - started) / 1000, dataSeconds };
  try {
    await complete(folder!, options, tasks, done!, seconds, flags);
  } catch (error) {
    if (stopping.signal.aborted)
      note(`Stopped while scoring. Go on with: ptuning train --resume ${folder!.folder}`);
    throw error;
  }
}

/** What is learnt, by name; "" where it is one task. */
type Tasks = Readonly<Record<string, TrainedTask>>;

/** What a report shows of the tasks. */
function reported(
  tasks: Readonly<Record<string, ReportedTask>>,
): Pick<ReportParts, "tasks" | keyof ReportedTask> {
  return tasks[""] ?? { tasks };
}

/** Scores the test data, writes the results and says what to do next. */
async function complete(
  folder: RunFolder,
  options: AnyTrainOptions,
  tasks: Tasks,
  done: DoneEvent<SavedAdapter>,
  spent: { readonly seconds: number; readonly dataSeconds: number },
  flags: TrainFlags,
): Promise<void> {
  const { backbone } = options;
  const tests: TaskEvaluation[] = [];
  const shown: Record<string, ReportedTask> = {};
  const baselines = new Map<string, TaskEvaluation[]>();
  for (const [name, { data, selectBy }] of Object.entries(tasks)) {
    const adapter = headOf(done.adapter, name);
    const { task } = adapter;
    const scored = { name, selectBy: selectBy ?? task.selectBy };
    const isReviewed = folder.config.report.html && data.dev.length > 0;
    let review: ReportedTask["review"];
    if (data.test.length > 0 || isReviewed) {
      const { precision } = options;
      const { signal } = stopping;
      await using predictor = await createPredictor(adapter, backbone, {
        signal,
        ...(precision && { precision }),
      });
      if (data.test.length > 0)
        tests.push({ ...scored, evaluation: await predictor.evaluate(data.test, { signal }) });
      if (isReviewed) review = await predictor.review(data.dev, { signal });
    }
    shown[name] = { task, data, ...(review && { review }) };
    if (data.test.length === 0 || !flags.baselines) continue;
    for (const { name: baseline, scores } of await baselineScores(task, data, backbone, stopping)) {
      const evaluation = { scores, loss: 0, collapsed: false };
      baselines.set(baseline, [...(baselines.get(baseline) ?? []), { ...scored, evaluation }]);
    }
  }
  const test = tests.length > 0 ? joinEvaluations(tests).scores : undefined;
  const simple = [...baselines].map(([name, results]) => ({ name, scores: joinEvaluations(results).scores }));
  const result = {
    type: "result",
    reason: done.reason,
    steps: done.step,
    ...spent,
    best: done.best,
    ...(done.exact && { exact: done.exact }),
    ...(test && { test }),
    ...(simple.length > 0 && { baselines: simple }),
    adapter: folder.adapterFolder,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    versions: { ptuning: packageVersion(), node: process.versions.node },
    hardware: describeMachine(),
  };
  await folder.finish(result);
  const page = await report(folder, { ...reported(shown), backbone });
  if (flags.json) {
    printJson(result);
    return;
  }
  print();
  const scores = (values: Readonly<Record<string, number>>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value.toFixed(4)}`)
      .join("  ");
  const line = (title: string, text: string): void => print(`${style("dim", title.padEnd(10))} ${text}`);
  if (done.best) line("best dev", `${scores(done.best.scores)}  (step ${done.best.step})`);
  if (done.exact && done.best)
    line("fp32 dev", `${scores(done.exact)}  (rounding costs ${pointsLost(done.best.scores, done.exact)})`);
  if (test) line("test", style("bold", scores(test)));
  for (const { name, scores: values } of simple) line("", `${scores(values)}  ${style("dim", name)}`);
  const waiting = spent.dataSeconds.toFixed(1);
  line("time", `${formatDuration(spent.seconds)}, of which ${waiting} s waiting for data`);
  line("adapter", folder.adapterFolder);
  if (page) line("report", page);
  print();
  const [name, { task }] = Object.entries(shown)[0] as [string, { task: Task }];
  const [firstExample] = tasks[name]!.data.train as readonly unknown[];
  print(`Try it:  ${predictCommandLine(folder, name, task, firstExample)}`);
}

/** Difference of the first score, in points. */
function pointsLost(
  rounded: Readonly<Record<string, number>>,
  exact: Readonly<Record<string, number>>,
): string {
  const [name] = Object.keys(rounded);
  const points = 100 * (exact[name!]! - rounded[name!]!);
  return `${points >= 0 ? "" : "−"}${Math.abs(points).toFixed(2)} points of ${name}`;
}
