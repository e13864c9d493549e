import * as z from "zod";
import type { MethodConfig } from "./config.ts";

const count = z.int().positive();
const hiddenRate = z.union([z.number().min(0).lt(1), z.literal("hidden")]);

const promptLayers = z.union([
  z.literal("all"),
  z.strictObject({ first: count }),
  z.strictObject({ last: count }),
  z.array(z.int().nonnegative()).min(1),
]);

const deepPrompt = z.strictObject({
  name: z.literal("p-tuning-v2"),
  promptLength: count.exactOptional().describe("trainable positions in front of each layer"),
  promptLayers: promptLayers
    .exactOptional()
    .describe("all, {first: k}, {last: k}, or a list of layers from 0"),
  reparameterization: z
    .enum(["none", "mlp"])
    .exactOptional()
    .describe("train the prompt directly, or a small network that makes it"),
  prefixHiddenSize: z
    .union([count, z.literal("hidden")])
    .exactOptional()
    .describe("width of that network"),
  promptDropout: hiddenRate.exactOptional().describe("dropout on prompt keys and values"),
  initScale: z.number().nonnegative().exactOptional().describe("standard deviation that prompts start from"),
  mlpInit: z.enum(["normal", "uniform"]).exactOptional().describe("how the network starts"),
  positionOffset: z
    .boolean()
    .exactOptional()
    .describe("start text positions behind the prompt, as the reference does"),
});

/** The method of a run; which keys it takes depends on its name. The first is the default. */
export const methodSchema: z.ZodType<MethodConfig, unknown> = z
  .preprocess(
    (value) => (typeof value === "object" && value !== null ? { name: "p-tuning-v2", ...value } : value),
    z.discriminatedUnion("name", [
      deepPrompt,
      z.strictObject({ name: z.literal("fine-tuning") }),
      z.strictObject({ name: z.literal("linear-probe") }),
      z.strictObject({ name: z.literal("bitfit") }),
    ]),
  )
  .prefault({});
