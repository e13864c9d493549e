import type { WeightForm } from "./form.ts";
import { fp32 } from "./fp32.ts";
import { int4 } from "./int4.ts";
import { int8 } from "./int8.ts";

/** What the forms are called, in settings and reports. */
export type FormName = "fp32" | "int8" | "int4";

/** Every form. Of those that hold a layer the first is taken. */
export const weightForms: Readonly<Record<FormName, WeightForm>> = { fp32, int8, int4 };

/** Their names. */
export const formNames: readonly FormName[] = Object.keys(weightForms) as FormName[];

/** The form that holds a layer; fp32, which says what it lacks, where none does. */
export function formOf(has: (name: string) => boolean, layer: string): FormName {
  return formNames.find((name) => weightForms[name].fits(has, layer)) ?? "fp32";
}
