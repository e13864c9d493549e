import { holdingBack, overrideConfig, type RunConfig } from "../config/index.ts";
import { hashText } from "../files/index.ts";

/** One training run of an experiment: a configuration, and what sets it apart from the others. */
export interface Trial {
  /** Told from the configuration: equal trials have equal ids. */
  readonly id: string;
  readonly config: RunConfig;
  /** Values by dotted key: `{ "training.learningRate": 0.01 }`. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

/** Form of a trial's id; it is also the name of its folder. */
export const trialIdPattern: RegExp = /^[0-9a-f]{12}$/;

/**
 * A trial of a configuration with other values at some keys. All trials hold a dev set back, so that their scores compare.
 * @param config with absolute paths, as a trial may go on from anywhere
 * @throws CONFIG_INVALID
 */
export function defineTrial(
  config: RunConfig,
  overrides: Readonly<Record<string, unknown>> = {},
  sourceOf?: (key: string) => string,
): Trial {
  const { search, ...whole } = holdingBack(overrideConfig(config, overrides, sourceOf));
  // Where a run writes, what it reports and how it uses the machine do not make it another one.
  const { output, report, engine, ...decisive } = whole;
  return { id: hashText(canonicalJson(decisive)).slice(0, 12), config: whole, overrides };
}

/** JSON with the keys of every object in order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
