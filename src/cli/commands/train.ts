import { headOf, type SavedAdapter } from "../../adapters/index.ts";
import { type Backbone, loadBackbone } from "../../backbones/index.ts";
import { baselineScores } from "../../baselines/index.ts";
import { completeRunConfig, methodOf, readTasks, settledConfig, taskConfigs } from "../../config/index.ts";
import { messageOf, PtuningError, pathWord, shellCommand } from "../../core/index.ts";
import { describeMachine, nodeEngine } from "../../engine/index.ts";
import { expectWritable, packageVersion } from "../../files/index.ts";
import { createPredictor, settleTask } from "../../predict/index.ts";
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
import { tellData } from "../data-line.ts";
import { dryRun } from "../dry-run.ts";
import { exitCodes } from "../exit.ts";
import { findLr } from "../find-lr.ts";
import { goOnUnread } from "../readers.ts";
import { readConfig, saysConfig, type TrainFlags } from "../run-config.ts";
import { stopping } from "../stop.ts";
import { downloadReporter, note, print, printJson, style, warn } from "../terminal.ts";
import { jsonReporter, textReporter } from "../train-reporter.ts";
import { predictCommandLine } from "../try-it.ts";

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
    const tasks = await readTasks(config, run?.state?.origin.tasks);
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
      folder ??= await createRun(config.output!, settledConfig(config, tasks), flags.overwrite);
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
    // Not with the options that this adapter's logits suit.
    const open = await settleTask(tasks[name]!.task, backbone);
    for (const { name: baseline, scores } of await baselineScores(open, data, backbone, stopping)) {
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
    ...(done.alternative && { alternative: done.alternative.evaluation }),
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
  if (done.best)
    line(
      done.best.leftOut ? "left out" : "best dev",
      `${scores(done.best.scores)}  (step ${done.best.step})`,
    );
  if (done.exact && done.best)
    line("fp32 dev", `${scores(done.exact)}  (rounding costs ${pointsLost(done.best.scores, done.exact)})`);
  if (test) line("test", style("bold", scores(test)));
  for (const { name, scores: values } of simple) line("", `${scores(values)}  ${style("dim", name)}`);
  const waiting = spent.dataSeconds.toFixed(1);
  line("time", `${formatDuration(spent.seconds)}, of which ${waiting} s waiting for data`);
  line("adapter", folder.adapterFolder);
  if (done.alternative) line("probe", folder.probeFolder);
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
