/** Stops commands by signals and lets their disk, engine or engine's thread fail. Throws where one hangs or leaves something. */
export function prove(options: { readonly size: "small" | "full" }): Promise<{
  readonly aborts: Readonly<
    Record<"count" | "train" | "others" | "resumed" | "anew" | "finished" | "slowestMs", number>
  >;
  readonly failures: Readonly<
    Record<"count" | "disk" | "engine" | "thread" | "resumed" | "anew" | "finished" | "unharmed", number>
  >;
  readonly hangs: number;
}>;
