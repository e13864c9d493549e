/** The head alone: what the untouched backbone's features are worth. No backward work below the head. */
import * as z from "zod";
import type { MethodFamily } from "./family.ts";
import { type Method, untouched } from "./method.ts";

/** Settings of a linear probe. */
export interface LinearProbeOptions {
  /**
   * `steps` trains the head as every method does; `fit` makes it a regularised linear model in one go, in the time that one
   * pass over the texts takes and some seconds.
   */
  readonly solver?: "steps" | "fit";
}

/**
 * A linear probe. The backbone computes as in use, without dropout, so equal texts give equal features.
 * @example
 * linearProbe({ solver: "fit" }).options; // { solver: "fit" }
 */
export function linearProbe({ solver = "steps" }: LinearProbeOptions = {}): Method {
  const isFitted = solver === "fit";
  const method: Method = {
    name: "linear-probe",
    // What earlier versions wrote and read.
    options: isFitted ? { solver } : {},
    ...(isFitted && { fitsHead: true }),
    defaults: { learningRate: 1e-2, hiddenDropout: 0, attentionDropout: 0 },
    parameters: () => ({}),
    decays: "all",
    savedAs: "adapter",
    positionOffset: () => 0,
    build: () => untouched,
    mixed: { key: "", build: () => untouched },
    get deployed() {
      return method;
    },
  };
  return method;
}

/** As configurations and adapters name it. */
export const linearProbeFamily: MethodFamily = {
  name: "linear-probe",
  settings: z.strictObject({
    solver: z
      .enum(["steps", "fit"])
      .exactOptional()
      .describe("steps trains the head by updates, fit makes it a regularised linear model in seconds"),
  }),
  create: (options) => linearProbe(options),
};
