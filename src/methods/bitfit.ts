/** BitFit (Ben Zaken et al. 2022, arXiv 2106.10199): the biases of the backbone, those of its layer norms included. */
import * as z from "zod";
import type { MethodFamily } from "./family.ts";
import { type Method, untouched } from "./method.ts";

/**
 * Trains every bias that has an effect. A bias of attention keys has none: it adds the same to all scores of a
 * query, which softmax does not see; its gradient would be rounding noise that Adam blows up.
 *
 * @example
 * bitfit().name; // "bitfit"
 */
export function bitfit(): Method {
  const method: Method = {
    name: "bitfit",
    options: {},
    // The paper's range is 1e-4 to 1e-3 without decay.
    defaults: { learningRate: 1e-3 },
    parameters: () => ({}),
    trains: (weight, architecture) => /[._]bias$/.test(weight) && !architecture.isKeyBias(weight),
    decays: "all",
    savedAs: "adapter",
    positionOffset: () => 0,
    build: () => untouched,
    get deployed() {
      return method;
    },
    // What it trains are weights of the backbone already.
    merge: async () => ({}),
  };
  return method;
}

/** As configurations and adapters name it. */
export const bitfitFamily: MethodFamily = {
  name: "bitfit",
  settings: z.strictObject({}),
  create: () => bitfit(),
};
