import * as z from "zod";
import { PtuningError } from "../core/index.ts";
import { limits } from "./limits.ts";

/** Numbers as configurations have them: a count, a width of hidden states, a rate of dropout. */
export const size: z.ZodInt = z.int().positive();
export const width: z.ZodInt = size.max(limits.hiddenSize);
export const rate: z.ZodNumber = z.number().min(0).lt(1);

/** Keys that encoders of transformers share. */
export const encoderKeys: {
  readonly model_type: z.ZodString;
  readonly hidden_size: z.ZodInt;
  readonly num_hidden_layers: z.ZodInt;
  readonly num_attention_heads: z.ZodInt;
  readonly intermediate_size: z.ZodInt;
  readonly vocab_size: z.ZodInt;
} = {
  model_type: z.string(),
  hidden_size: width,
  num_hidden_layers: size.max(limits.layers),
  num_attention_heads: width,
  intermediate_size: size.max(16 * limits.hiddenSize),
  vocab_size: size.max(limits.vocabulary),
};

/**
 * Parses a `config.json`, naming each key that does not fit.
 * @param names keys of the schema that the file calls otherwise → the file's
 */
export function parseConfigWith<T extends z.ZodType>(
  schema: T,
  json: unknown,
  where: string,
  names: Readonly<Record<string, string>> = {},
): z.output<T> {
  const given = (typeof json === "object" && json !== null ? json : {}) as Readonly<Record<string, unknown>>;
  const renamed = Object.entries(names).flatMap(([ours, theirs]) =>
    given[theirs] === undefined ? [] : [[ours, given[theirs]] as const],
  );
  const parsed = schema.safeParse(renamed.length > 0 ? { ...given, ...Object.fromEntries(renamed) } : json);
  if (parsed.success) return parsed.data;
  const keyOf = ([first, ...rest]: readonly PropertyKey[]): string =>
    [names[String(first)] ?? String(first), ...rest.map(String)].join(".");
  const problems = parsed.error.issues.map(({ path, message }) => `${keyOf(path)}: ${message}`);
  throw new PtuningError("BACKBONE_INVALID", `${where}: ${problems.join("; ")}.`, {
    hint: "This checkpoint's architecture differs from the one its model_type names, or the file is damaged.",
  });
}
