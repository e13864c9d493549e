/** Values that the settings of several methods take. */
import * as z from "zod";

export const count: z.ZodInt = z.int().positive();
/** No position table is nearly as long. */
export const promptLength: z.ZodInt = count.max(10_000);
/** Wider networks would take gigabytes for a prompt of kilobytes. */
const width = count.max(16_384);
/** A number of units, or as many as the backbone's hidden size. */
export const hiddenWidth: z.ZodType<number | "hidden"> = z.union([width, z.literal("hidden")]);
/** A rate of dropout, or that of the backbone's hidden states. */
export const hiddenRate: z.ZodType<number | "hidden"> = z.union([
  z.number().min(0).lt(1),
  z.literal("hidden"),
]);
