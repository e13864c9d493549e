import type { Backbone } from "../backbones/index.ts";
import { type CompleteConfig, overrideConfig, taskOf } from "../config/index.ts";
import { PtuningError } from "../core/index.ts";
import type { Dataset } from "../data/index.ts";
import type { Comparison } from "../report/index.ts";
import { defineTrial, type Trial } from "../trials/index.ts";
import type { ComparedBackbone, Preset, Variant } from "./preset.ts";

/** A value that only some variants get. */
export interface VariantSetting {
  /** Name or series of the variants. */
  readonly of: string;
  /** Dotted key. */
  readonly key: string;
  readonly value: unknown;
}

/** What is to be compared. */
export interface ComparisonOptions {
  /** With absolute paths. */
  readonly config: CompleteConfig;
  readonly data: Dataset<unknown>;
  readonly backbone: Backbone;
  readonly preset: Preset;
  /** Name of the data, for titles. */
  readonly name: string;
  readonly methods?: readonly string[] | undefined;
  readonly values?: readonly number[] | undefined;
  readonly backbones?: readonly ComparedBackbone[] | undefined;
  /** Seeds, or how many from the configured one on; default the preset's number. */
  readonly seeds?: number | readonly number[] | undefined;
  readonly settings?: readonly VariantSetting[];
}

/** A variant with the trial of each seed. */
export interface PlannedVariant extends Variant {
  readonly runs: readonly { readonly seed: number; readonly trial: Trial }[];
}

/** A comparison before any of its runs. */
export interface ComparisonPlan
  extends Pick<Comparison, "title" | "task" | "backbone" | "score" | "figure" | "fingerprints"> {
  readonly variants: readonly PlannedVariant[];
  /** What earlier versions called the backbone. */
  readonly formerBackbone?: string;
}

/** Seed of a run where the configuration has none. */
const firstSeed = 11;

/**
 * Lays out the runs of a comparison.
 * @throws OPTION_INVALID, CONFIG_INVALID
 */
export function planComparison(options: ComparisonOptions): ComparisonPlan {
  const { config, data, backbone, preset, name, methods, values, backbones, settings = [] } = options;
  refuse(!preset.takesMethods && methods !== undefined, "methods", preset);
  refuse(!preset.takesValues && values !== undefined, "values", preset);
  refuse(!preset.takesBackbones && backbones !== undefined, "backbones", preset);
  const { selectBy } = taskOf(config, data);
  const score = config.training.selectBy ?? selectBy;
  const variants = preset.variants({ config, backbone, methods, values, backbones });
  checkNames(variants, settings);
  const seeds = seedsOf(options);
  return {
    title: `${preset.title}: ${name}`,
    task: config.task.type,
    backbone: (backbones ?? [backbone]).map(({ id }) => id).join(", "),
    // The loss is no score of the test set.
    score: { name: score, on: data.test.length > 0 && score !== "loss" ? "test" : "dev" },
    figure: preset.figure,
    fingerprints: {
      data: data.fingerprint,
      backbone: (backbones ?? [backbone]).map(({ fingerprint }) => fingerprint).join(" "),
    },
    ...(backbones === undefined &&
      backbone.formerFingerprint !== undefined && { formerBackbone: backbone.formerFingerprint }),
    variants: variants.map((variant) => {
      const own = settings.filter(({ of }) => of === variant.name || of === variant.series);
      const base = overrideConfig(
        // The page of the comparison stands for those of its runs; `ptuning report` makes them when wanted.
        { ...variant.config, report: { html: false, tensorboard: false } },
        Object.fromEntries(own.map(({ key, value }) => [key, value])),
      );
      const runs = seeds.map((seed) => {
        const overrides = Object.fromEntries(preset.seedKeys.map((key) => [key, seed]));
        return { seed, trial: defineTrial(base, overrides) };
      });
      return { ...variant, config: base, runs };
    }),
  };
}

function refuse(isWrong: boolean, option: string, { name }: Preset): void {
  if (isWrong) throw new PtuningError("OPTION_INVALID", `${option}: the preset ${name} takes none.`);
}

function seedsOf({ seeds, preset, config }: ComparisonOptions): readonly number[] {
  if (typeof seeds === "object") return [...new Set(seeds)];
  const first = config.training.seed ?? firstSeed;
  return Array.from({ length: seeds ?? preset.seeds }, (_, i) => first + i);
}

function checkNames(variants: readonly Variant[], settings: readonly VariantSetting[]): void {
  const names = variants.map(({ name }) => name);
  if (names.length === 0) throw new PtuningError("OPTION_INVALID", "compare: expected something to compare.");
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new PtuningError("OPTION_INVALID", `compare: expected different variants, got "${twice}" twice.`);
  }
  const known = new Set(variants.flatMap(({ name, series }) => [name, series ?? name]));
  const wrong = settings.find(({ of }) => !known.has(of));
  if (wrong !== undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `--set ${wrong.of}:${wrong.key}: expected one of ${[...known].join(", ")}, got "${wrong.of}".`,
    );
  }
}
