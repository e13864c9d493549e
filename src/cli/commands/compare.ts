import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type Backbone, loadBackbone } from "../../backbones/index.ts";
import {
  type ComparedBackbone,
  type ComparisonPlan,
  forgetFailures,
  openComparison,
  planComparison,
  presetOf,
  presets,
  runComparison,
  type VariantSetting,
} from "../../comparisons/index.ts";
import { holdingBack, readData, refuseSecrets } from "../../config/index.ts";
import { nodeEngine } from "../../engine/index.ts";
import { expectWritable } from "../../files/index.ts";
import { methods } from "../../methods/index.ts";
import { comparisonText, textTable } from "../../report/index.ts";
import { jsonComparisonReporter, textComparisonReporter } from "../compare-reporter.ts";
import { tellData } from "../data-line.ts";
import { exitCodes } from "../exit.ts";
import { positive, positives, threadsOf } from "../numbers.ts";
import { goOnUnread } from "../readers.ts";
import { readConfig } from "../run-config.ts";
import { stopping } from "../stop.ts";
import { downloadReporter, note, print, printJson, warn } from "../terminal.ts";
import { yamlValue } from "../yaml-value.ts";

interface CompareFlags {
  readonly preset: string;
  readonly methods?: readonly string[];
  readonly backbones?: readonly string[];
  readonly seeds?: readonly string[];
  readonly values?: readonly string[];
  readonly output?: string;
  readonly workers: string;
  readonly retry?: boolean;
  readonly overwrite?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly set?: readonly string[];
  readonly threads?: string;
  readonly [flag: string]: unknown;
}

export async function compareCommand(source: string, flags: CompareFlags): Promise<void> {
  const {
    preset: presetName,
    methods: given,
    backbones: places,
    seeds,
    values,
    output,
    workers,
    set = [],
    json,
    ...rest
  } = flags;
  // Who names backbones wants to see them beside each other.
  const preset = presetOf(places && presetName === presets[0]!.name ? "backbones" : presetName);
  const { shared, settings } = splitSettings(set);
  const config = holdingBack(await readConfig(source, { ...rest, set: shared }));
  const name = basename(config.output!);
  const folder = output ?? join("comparisons", preset.name === "methods" ? name : `${name}-${preset.name}`);
  refuseSecrets({ output: folder }, () => "command line");
  if (!flags.dryRun) await expectWritable(folder);
  // Data first: a mistake there should not wait for a download.
  const data = await readData(config);
  tellData(config, data, json === true);
  const load = (place: string): Promise<Backbone> =>
    loadBackbone(place, {
      engine: nodeEngine(config.engine),
      onProgress: downloadReporter(),
      signal: stopping.signal,
    });
  const plan = await withBackbones(places && names(places), config.backbone, load, (backbone, backbones) =>
    planComparison({
      ...{ config, data, backbone, preset, name, settings },
      ...{ methods: methodNames(given), backbones },
      values: values && positives("--values", values),
      seeds: seeds && seedsOf(positives("--seeds", seeds)),
    }),
  );
  if (flags.dryRun) {
    printPlan(plan, json === true);
    return;
  }
  await compareInto(folder, plan, flags);
}

async function compareInto(path: string, plan: ComparisonPlan, flags: CompareFlags): Promise<void> {
  const workers = positive("--workers", flags.workers);
  const folder = await openComparison(path, plan, flags.overwrite);
  for (const doubt of folder.doubts) warn(doubt);
  goOnUnread();
  const tell = flags.json ? jsonComparisonReporter() : textComparisonReporter();
  let last: Extract<Parameters<typeof tell>[0], { type: "comparison" }> | undefined;
  try {
    if (flags.retry) await forgetFailures(folder.trials);
    for await (const event of runComparison(plan, folder, {
      workers,
      ...threadsOf(flags.threads),
      signal: stopping.signal,
    })) {
      tell(event);
      if (event.type === "comparison") last = event;
    }
  } finally {
    await folder.close();
  }
  const { comparison, done, total } = last!;
  if (!flags.json) {
    print();
    print(comparisonText(comparison));
    print();
    print(`The page, with the figure: ${folder.page}`);
  }
  if (done < total) {
    note(`${done} of ${total} runs are done. Go on with the same command.`);
    process.exitCode = stopping.exitCode ?? exitCodes.interrupted;
    return;
  }
  const runs = comparison.variants.flatMap((variant) => variant.runs);
  if (runs.every(({ state }) => state === "failed")) process.exitCode = exitCodes.failed;
}

/** `--set NAME:key=value` is for the variants of that name. */
function splitSettings(set: readonly string[]): { shared: string[]; settings: VariantSetting[] } {
  const shared: string[] = [];
  const settings: VariantSetting[] = [];
  for (const setting of set) {
    const own = /^(?<of>[^=]+):(?<key>[\w.]+)=(?<value>.*)$/s.exec(setting)?.groups;
    if (own === undefined) shared.push(setting);
    else settings.push({ of: own.of!, key: own.key!, value: yamlValue("--set", own.value!, setting) });
  }
  return { shared, settings };
}

const names = (given: readonly string[]): readonly string[] =>
  given.flatMap((part) => part.split(",")).filter((part) => part !== "");

function methodNames(given: readonly string[] | undefined): readonly string[] | undefined {
  const chosen = given && names(given);
  return chosen?.includes("all") ? Object.keys(methods) : chosen;
}

/**
 * Makes a plan with the first backbone open, and what it must know of each; each run has a backbone of its own.
 * @param places of several, absent where it is about the configured one; folders get their whole path, as those of
 *   configurations have
 */
async function withBackbones<T>(
  places: readonly string[] | undefined,
  configured: string,
  load: (place: string) => Promise<Backbone>,
  plan: (first: Backbone, all: readonly ComparedBackbone[] | undefined) => T,
): Promise<T> {
  const [leading] = places ?? [];
  await using first = await load(leading === undefined ? configured : placeOf(leading));
  if (places === undefined) return plan(first, undefined);
  const all: ComparedBackbone[] = [];
  for (const given of places) {
    if (given === leading) {
      all.push(comparedOf(given, first));
      continue;
    }
    await using backbone = await load(placeOf(given));
    all.push(comparedOf(given, backbone));
  }
  return plan(first, all);
}

const placeOf = (given: string): string => (existsSync(given) ? resolve(given) : given);

const comparedOf = (given: string, { id, fingerprint, parameterCount }: Backbone): ComparedBackbone => ({
  ...{ name: basename(given), place: placeOf(given) },
  ...{ id, fingerprint, parameterCount },
});

/** One number says how many seeds, several are the seeds. */
function seedsOf(numbers: readonly number[]): number | readonly number[] {
  return numbers.length === 1 ? numbers[0]! : numbers;
}

function printPlan({ title, score, variants }: ComparisonPlan, asJson: boolean): void {
  const runs = variants.flatMap((variant) =>
    variant.runs.map(({ seed, trial }) => ({ variant: variant.name, seed, id: trial.id })),
  );
  if (asJson) {
    printJson({ type: "plan", title, score, runs });
    return;
  }
  print(`${title} (${score.on} ${score.name})`);
  const rows = variants.map(({ name, runs: own }) => [name, own.map(({ seed }) => seed).join(", ")]);
  print(textTable([{ title: "variant" }, { title: "seeds" }], rows));
  print(`${runs.length} runs`);
}
