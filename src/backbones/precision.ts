import type { EngineFacts } from "../engine/index.ts";
import { type FormName, formNames, formOf, weightForms } from "../nn/index.ts";
import type { Backbone } from "./backbone.ts";
import { convertedWeights } from "./converted.ts";

/**
 * Precision of the frozen linear layers, forward and backward: the name of a weight form. `auto` takes int8 where the
 * engine multiplies it well (on a CPU with VNNI or AMX) and fp32 elsewhere. Everything else is fp32 always.
 */
export type Precision = FormName | "auto";

/** The precision that `auto` stands for on an engine. */
export function choosePrecision(precision: Precision, facts: EngineFacts): FormName {
  if (precision !== "auto") return precision;
  return formNames.find((name) => weightForms[name].isBestOn(facts)) ?? "fp32";
}

/**
 * The same backbone with weights of the given precision, made for its engine.
 * @param signal ends the making of converted weights with its reason
 */
export async function withPrecision(
  backbone: Backbone,
  precision: Precision,
  signal?: AbortSignal,
): Promise<Backbone> {
  const { facts } = backbone.engine;
  const name = choosePrecision(precision, facts);
  const { stored } = weightForms[name];
  if (name === backbone.precision || stored === undefined) return backbone;
  const weights = await convertedWeights(backbone, { name, form: stored, facts }, signal);
  // What was built, not what was asked for: a checkpoint may have no layer that the form suits.
  const layers = backbone.architecture.linears(backbone.config);
  const isBuilt = layers.some((layer) => formOf((key) => weights.has(key), layer.name) === name);
  return { ...backbone, precision: isBuilt ? name : backbone.precision, weights };
}
