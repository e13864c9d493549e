import { basename, join, resolve } from "node:path";
import type { RunConfig, SearchConfig, SearchParameter, SearchRange } from "../../config/index.ts";
import { holdingBack, overrideConfig, readData, refuseSecrets } from "../../config/index.ts";
import { PtuningError, pathWord, shellCommand } from "../../core/index.ts";
import { readSweepConfig, sweep } from "../../sweeps/index.ts";
import { localRunner, type TrialRunner } from "../../trials/index.ts";
import { tellData } from "../data-line.ts";
import { exitCodes } from "../exit.ts";
import { aboveZero, numberOf, positive, whole } from "../numbers.ts";
import { goOnUnread } from "../readers.ts";
import { readConfig, saysConfig } from "../run-config.ts";
import { stopping } from "../stop.ts";
import { jsonSweepReporter, textSweepReporter } from "../sweep-reporter.ts";
import { note, print } from "../terminal.ts";
import { yamlValue } from "../yaml-value.ts";

interface SweepFlags {
  readonly set?: readonly string[];
  readonly grid?: readonly string[];
  readonly uniform?: readonly string[];
  readonly logUniform?: readonly string[];
  readonly searchPreset?: string;
  readonly strategy?: string;
  readonly halving?: string;
  readonly runs?: string;
  readonly minutes?: string;
  readonly searchSeed?: string;
  readonly workers?: string;
  readonly queue?: string;
  readonly root?: string;
  readonly reports?: boolean;
  readonly output?: string;
  readonly resume?: string;
  readonly json?: boolean;
  readonly [flag: string]: unknown;
}

export async function sweepCommand(source: string | undefined, flags: SweepFlags): Promise<void> {
  const { config, folder } = await whatToSearch(source, flags);
  const tell = flags.json ? jsonSweepReporter() : textSweepReporter();
  goOnUnread();
  stopping.says("Stopping the trials after their current steps …");
  const run = await runner(flags);
  for await (const event of sweep({
    config,
    folder,
    sourceOf: sourceIn(flags),
    run,
    signal: stopping.signal,
  })) {
    tell(event);
    if (event.type !== "sweep-done") continue;
    if (event.reason === "stopped") {
      note(`Stopped. Go on with: ${shellCommand("ptuning", "sweep", "--resume", pathWord(folder))}`);
      process.exitCode = stopping.exitCode ?? exitCodes.interrupted;
    } else if (event.report.trials.length > 0 && event.report.ranking.length === 0) {
      process.exitCode = exitCodes.failed;
      note("No trial has a score.");
    }
    if (!flags.json) for (const file of event.files) print(join(folder, file));
  }
}

async function runner({ queue, root = ".", workers }: SweepFlags): Promise<TrialRunner> {
  if (queue !== undefined) {
    const { queueRunner } = await import("../../queue/index.ts");
    return queueRunner({ url: queue, root: resolve(root) });
  }
  return localRunner(workers === undefined ? {} : { workers: positive("--workers", workers) });
}

async function whatToSearch(
  source: string | undefined,
  flags: SweepFlags,
): Promise<{ config: RunConfig; folder: string }> {
  if (flags.resume !== undefined) {
    if (saysConfig(source, flags) || flags.output !== undefined) {
      throw new PtuningError(
        "OPTION_INVALID",
        "--resume: expected no other configuration, it is that of the sweep.",
      );
    }
    return { config: withSearch(await readSweepConfig(flags.resume), flags), folder: flags.resume };
  }
  const { output: _, ...given } = flags;
  const { output, ...config } = holdingBack(await readConfig(source, given));
  tellData(config, await readData(config), flags.json === true);
  const folder = flags.output ?? join("sweeps", basename(output!));
  refuseSecrets({ output: folder }, () => "command line");
  const report = { html: flags.reports === true, tensorboard: flags.reports === true };
  return { config: withSearch({ ...config, report }, flags), folder };
}

/** The configuration with what flags say about the search. */
function withSearch(config: RunConfig, flags: SweepFlags): RunConfig {
  const space: Record<string, SearchParameter> = { ...config.search?.space };
  for (const text of flags.grid ?? []) {
    const { key, value } = assignment("--grid", text);
    // As YAML, so that numbers are numbers.
    space[key] = yamlValue("--grid", `[${value}]`, text) as unknown[];
  }
  for (const text of flags.uniform ?? []) addRange(space, "uniform", "--uniform", text);
  for (const text of flags.logUniform ?? []) addRange(space, "logUniform", "--log-uniform", text);
  const given: Readonly<Record<keyof SearchConfig, unknown>> = {
    space,
    preset: flags.searchPreset ?? config.search?.preset,
    strategy: flags.strategy ?? config.search?.strategy ?? (flags.halving && "halving"),
    runs: flags.runs === undefined ? config.search?.runs : positive("--runs", flags.runs),
    minutes: flags.minutes === undefined ? config.search?.minutes : aboveZero("--minutes", flags.minutes),
    seed: flags.searchSeed === undefined ? config.search?.seed : whole("--search-seed", flags.searchSeed),
    halving: flags.halving === undefined ? config.search?.halving : halvingOf(flags.halving),
  };
  const search = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return overrideConfig(config, { search });
}

/** The flag that says what values a key takes; where there is none it is the configuration. */
function sourceIn({ grid = [], uniform = [], logUniform = [] }: SweepFlags): (key: string) => string {
  const given = { "--grid": grid, "--uniform": uniform, "--log-uniform": logUniform };
  const flags = Object.entries(given).flatMap(([flag, texts]) => texts.map((text) => `${flag} ${text}`));
  return (key) => flags.findLast((flag) => flag.split(/ |=/)[1] === key) ?? `search.space.${key}`;
}

function addRange(
  space: Record<string, SearchParameter>,
  kind: keyof SearchRange & ("uniform" | "logUniform"),
  flag: string,
  text: string,
): void {
  const { key, value } = assignment(flag, text);
  const [low, high, step, ...more] = numbersOf(`${flag} ${key}`, value);
  if (low === undefined || high === undefined || more.length > 0)
    throw new PtuningError("OPTION_INVALID", `${flag} ${text}: expected key=low,high or key=low,high,step.`);
  space[key] = { [kind]: [low, high], ...(step !== undefined && { step }) };
}

/** `least,most` or `least,most,factor`, of training.epochs or of `key=least,most,factor`. */
function halvingOf(text: string): object {
  const { key, value } = text.includes("=") ? assignment("--halving", text) : { key: undefined, value: text };
  const [least, most, factor, ...more] = numbersOf("--halving", value);
  if (least === undefined || most === undefined || more.length > 0)
    throw new PtuningError("OPTION_INVALID", `--halving ${text}: expected least,most or least,most,factor.`);
  return { ...(key && { resource: key }), least, most, ...(factor !== undefined && { factor }) };
}

function numbersOf(flag: string, text: string): number[] {
  return text.split(",").map((part) => numberOf(flag, part, {}));
}

/** `key=1e-3,5e-3` */
function assignment(flag: string, text: string): { key: string; value: string } {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1)
    throw new PtuningError("OPTION_INVALID", `${flag} ${text}: expected key=value,value,….`);
  return { key: text.slice(0, at), value: text.slice(at + 1) };
}
