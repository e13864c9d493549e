import * as z from "zod";
import type { SearchConfig } from "./config.ts";

const count = z.int().positive().max(1_000_000);
const numbers = z
  .tuple([z.number(), z.number()])
  .refine(([low, high]) => low < high, "expected the lower number first");
const grain = {
  step: z.number().positive().exactOptional(),
  points: z.int().min(2).max(10_000).exactOptional(),
};

const parameter = z.union(
  [
    z.array(z.unknown()).min(1).max(10_000),
    z.strictObject({ uniform: numbers, ...grain }),
    z.strictObject({
      logUniform: numbers.refine(([low]) => low > 0, "expected numbers above 0"),
      ...grain,
    }),
  ],
  { error: "a list of choices, {uniform: [low, high]} or {logUniform: [low, high]} with step or points" },
);

const halving = z.strictObject({
  resource: z.string().min(1).default("training.epochs"),
  least: count,
  most: count,
  factor: z.int().min(2).max(1000).default(3),
  configurations: count.exactOptional(),
});

/** What `ptuning sweep` tries; training alone ignores it. */
export const searchSchema: z.ZodType<SearchConfig, unknown> = z.strictObject({
  strategy: z
    .enum(["grid", "random", "halving"])
    .exactOptional()
    .describe("default: grid where every key has choices, else random"),
  preset: z.enum(["p-tuning-v2"]).exactOptional().describe("the grid that came with the paper's code"),
  space: z
    .record(z.string().min(1), parameter)
    .default({})
    .describe("values by key: [1, 2, 3], {uniform: [low, high]} or {logUniform: [low, high]}"),
  runs: count.exactOptional().describe("trials at most"),
  minutes: z
    .number()
    .positive()
    .exactOptional()
    .describe("no trial begins after so many minutes of searching"),
  seed: z.int().default(11).describe("of what is drawn"),
  halving: halving
    .exactOptional()
    .describe("{resource: training.epochs, least: 1, most: 9, factor: 3, configurations: 9}"),
});
