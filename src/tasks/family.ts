import * as z from "zod";
import type { Dataset, ExampleKind } from "../data/index.ts";
import type { Task } from "./task.ts";

/** Options of a task as configs and adapters hold them: plain data. */
export type TaskOptions = Readonly<Record<string, unknown>>;

/**
 * A kind of task before its options are known: what a configuration may say of it, and what it takes from the
 * data. The registry lists them; no other code knows which there are.
 *
 * @typeParam E raw example
 * @typeParam S settings, as the configuration has them
 * @typeParam O options of the task
 */
export interface TaskFamily<E = unknown, S = TaskOptions, O = TaskOptions> {
  /** As in configs and adapters: `text-classification`. */
  readonly type: string;
  /** What it learns, in a few words. */
  readonly title: string;
  readonly reads: ExampleKind;
  /** What a table's column holds that is learnt, where examples of one kind can have several sorts of it. */
  readonly gold?: "label" | "labels" | "score";
  /** Keys of a configuration's `task` section beside `type`; descriptions become its comments. */
  readonly settings: z.ZodObject;
  /** What adapters hold: every setting, resolved, and what the data said. */
  readonly saved: z.ZodObject;
  /** Whether {@link resolve} also takes the setting `preset`, which starts from what another implementation does. */
  readonly hasPresets?: boolean;
  /** Whether labelled examples look like this family's. */
  fits(examples: readonly E[]): boolean;
  /** The task's options: the settings, completed by what the data says (labels, their weights, ranges). */
  resolve(settings: S, data: Dataset<E>): O;
  create(options: O): Task;
  /** Options that show what the defaults are, for files that explain them. */
  readonly sample: O;
}

/** The labels of a task in an adapter: texts, all different. */
export const savedLabels: z.ZodType<string[]> = z
  .array(z.string())
  .max(100_000)
  .refine((labels) => new Set(labels).size === labels.length, "expected different labels");

/** A family as the registry holds it, its own types forgotten. */
export function family<E, S extends object, O extends object>(parts: TaskFamily<E, S, O>): TaskFamily {
  return parts as TaskFamily<never, never, never> as TaskFamily;
}
