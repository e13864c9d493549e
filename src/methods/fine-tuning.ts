/** Every weight of the backbone is trained: the measure of all methods that train fewer. */
import * as z from "zod";
import type { MethodFamily } from "./family.ts";
import { type Method, untouched } from "./method.ts";

/**
 * Full fine-tuning. The result is a checkpoint of its own; biases and layer norms do not decay.
 * @example
 * fineTuning().savedAs; // "checkpoint"
 */
export function fineTuning(): Method {
  const method: Method = {
    name: "fine-tuning",
    options: {},
    // Devlin et al. 2019, appendix A.3: 2e-5 to 5e-5, decay 0.01.
    defaults: { learningRate: 5e-5, weightDecay: 0.01 },
    parameters: () => ({}),
    // Key biases have no gradient but rounding noise; see bitfit.ts.
    trains: (weight, architecture) => !architecture.isKeyBias(weight),
    decays: "matrices",
    fp32Only: { reason: "fine-tuning trains the layers themselves, int8 layers cannot learn" },
    savedAs: "checkpoint",
    positionOffset: () => 0,
    build: () => untouched,
    get deployed() {
      return method;
    },
  };
  return method;
}

/** As configurations and adapters name it. */
export const fineTuningFamily: MethodFamily = {
  name: "fine-tuning",
  settings: z.strictObject({}),
  create: () => fineTuning(),
};
