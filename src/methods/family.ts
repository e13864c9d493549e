import type * as z from "zod";
import type { HeadKind } from "./defaults.ts";
import type { Method } from "./method.ts";

/** What a method is called, which settings it has, and how it is made of them: one for each file of a method. */
export interface MethodFamily {
  /** As in configurations and adapters: `p-tuning-v2`. */
  readonly name: string;
  /**
   * The settings, as configurations and adapters have them; descriptions become help texts and the comments of generated
   * files.
   */
  readonly settings: z.ZodObject;
  /** @param options checked by {@link settings}, and `preset` @param head what it shall be trained with */
  create(options: Readonly<Record<string, unknown>>, head: HeadKind): Method;
}
