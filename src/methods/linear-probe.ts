/** The head alone: what the untouched backbone's features are worth. No backward work below the head. */
import * as z from "zod";
import type { MethodFamily } from "./family.ts";
import { type Method, untouched } from "./method.ts";

/**
 * A linear probe. The backbone computes as in use, without dropout, so equal texts give equal features.
 * @example
 * linearProbe().name; // "linear-probe"
 */
export function linearProbe(): Method {
  const method: Method = {
    name: "linear-probe",
    options: {},
    defaults: { learningRate: 1e-2, hiddenDropout: 0, attentionDropout: 0 },
    parameters: () => ({}),
    decays: "all",
    savedAs: "adapter",
    positionOffset: () => 0,
    build: () => untouched,
    get deployed() {
      return method;
    },
  };
  return method;
}

/** As configurations and adapters name it. */
export const linearProbeFamily: MethodFamily = {
  name: "linear-probe",
  settings: z.strictObject({}),
  create: () => linearProbe(),
};
