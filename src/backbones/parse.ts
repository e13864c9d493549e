import type * as z from "zod";
import { PtuningError } from "../core/index.ts";

/** Parses a `config.json`, naming each key that does not fit. */
export function parseConfigWith<T extends z.ZodType>(schema: T, json: unknown, where: string): z.output<T> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new PtuningError("BACKBONE_INVALID", `${where}: ${problems.join("; ")}.`, {
    hint: "This checkpoint's architecture differs from the one its model_type names, or the file is damaged.",
  });
}
