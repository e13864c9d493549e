import type { Task } from "./task.ts";

/** The labels of a task, if it has any. */
export function labelsOf({ options }: Task): readonly string[] {
  const { labels } = options as { readonly labels?: readonly string[] };
  return labels ?? [];
}
