import * as z from "zod";
import { methods } from "../methods/index.ts";
import type { MethodConfig } from "./config.ts";

const [first, ...others] = Object.values(methods).map(({ name, settings }) =>
  z.strictObject({ name: z.literal(name), ...settings.shape }),
);

/** The method of a run; which keys it takes depends on its name. The first is the default. */
export const methodSchema: z.ZodType<MethodConfig, unknown> = z
  .preprocess(
    (value) => (typeof value === "object" && value !== null ? { name: "p-tuning-v2", ...value } : value),
    z.discriminatedUnion("name", [first!, ...others]),
  )
  .prefault({}) as z.ZodType<unknown, unknown> as z.ZodType<MethodConfig, unknown>;
