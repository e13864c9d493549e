import { type Adapter, checkBackbone } from "../adapters/index.ts";
import type { Backbone } from "../backbones/index.ts";
import { elementCount, type Params, PtuningError, Rng, type Tensor, zeros } from "../core/index.ts";
import { encodeSafetensors, hashText } from "../files/index.ts";
import { type Method, methodFrom, type Parameter } from "../methods/index.ts";
import { foldParams, type ModelParts, type ParamShapes, paramShapes } from "../model/index.ts";
import { type Task, taskFrom } from "../tasks/index.ts";
import { labelsOf } from "./labels.ts";
import type { TrainingState } from "./state.ts";

/** What a run starts from instead of random numbers. */
export interface Start {
  /** An adapter, or the state of a run, which still has the network that saving folds away. */
  readonly from: Adapter | TrainingState;
  /** The head: a `new` one, or the saved one, trained on (`keep`) or left as it is (`freeze`). Default `new`. */
  readonly head?: "new" | "keep" | "freeze";
}

/** Tensors that take the place of those that would be drawn. */
export interface StartingTensors {
  /** Trained on. */
  readonly params: Params;
  /** Not trained. */
  readonly fixed: Params;
  /** Weights that the checkpoint lacks and that the saved head reads. */
  readonly frozen: Params;
}

/** An adapter or a training state as the same thing. */
type Source = Pick<Adapter, "task" | "method" | "params" | "frozen" | "backbone">;

/** The best state of a run so far is what its adapter would be. */
function sourceOf(from: Start["from"]): Source {
  if (!("step" in from)) return from;
  const { method, task, backbone } = from.origin;
  return {
    method: methodFrom(method.name, method.options),
    task: taskFrom(task.type, task.options),
    params: from.best?.params ?? from.params,
    frozen: from.frozen,
    backbone,
  };
}

/**
 * Takes over the tensors of the method, and those of the head where that is wanted.
 * @throws ADAPTER_INCOMPATIBLE if the backbone is another one; OPTION_INVALID if something does not fit
 */
export async function startingTensors(
  { from, head: wanted = "new" }: Start,
  parts: ModelParts & { readonly backbone: Backbone },
  task: Task,
): Promise<StartingTensors> {
  const source = sourceOf(from);
  const { backbone, method } = parts;
  checkBackbone(source.backbone, backbone);
  const headShapes = task.head.initialize(backbone.config, new Rng(0));
  const shapes = Object.entries(paramShapes(parts)).filter(([name]) => !(name in headShapes));
  const saved =
    method.folding === undefined
      ? await foldParams(source.method, source.params, backbone.engine)
      : source.params;
  const params = takeOver(Object.fromEntries(shapes), saved, method, source, backbone);
  if (wanted === "new") {
    if (shapes.length > 0) return { params, fixed: {}, frozen: {} };
    throw invalid("start.head", `keep or freeze, as ${method.name} trains nothing but the head`, "new");
  }
  checkHead(task, source.task);
  const head = Object.fromEntries(
    Object.entries(headShapes).map(([name, { shape }]) => [
      name,
      structuredClone(fitting(name, source.params[name], shape, "start.head")),
    ]),
  );
  if (wanted === "keep") return { params: { ...params, ...head }, fixed: {}, frozen: source.frozen };
  if (shapes.length > 0) return { params, fixed: head, frozen: source.frozen };
  throw invalid("start.head", `keep, as ${method.name} trains nothing but the head`, "freeze");
}

/** What a resumed run must have in common with the saved one. */
export function startIdentity({ from, head = "new" }: Start): string {
  const { params, frozen } = sourceOf(from);
  const prefixed = Object.entries(frozen).map(([name, tensor]) => [`frozen ${name}`, tensor]);
  return `${head} ${hashText(encodeSafetensors({ ...params, ...Object.fromEntries(prefixed) }))}`;
}

function takeOver(
  wanted: ParamShapes,
  saved: Params,
  method: Method,
  source: Source,
  { config }: Backbone,
): Params {
  const [ours, theirs] = [method, source.method].map(({ parameters }) => parameters(config));
  const names = [method, source.method].map(({ deployed }) => deployed.name);
  if (Object.keys(wanted).length > 0 && names[0] !== names[1]) {
    throw invalid("start.from", `an adapter of ${method.name}`, `one of ${source.method.name}`);
  }
  if (method.folding && !source.method.folding) {
    throw new PtuningError(
      "OPTION_INVALID",
      `start.from: expected the network that makes the prompt of ${method.name}, got a prompt that has none: ` +
        "it was folded away, and cannot be regained from what it made.",
      {
        hint: "Train the prompt itself (reparameterization: none), or start from the training state of the run that has the network (report.state: true keeps it).",
      },
    );
  }
  return Object.fromEntries(
    Object.entries(wanted).map(([name, { shape }]) => {
      const parameter: Parameter | undefined = ours?.[name];
      const layers = [parameter, theirs?.[name]].map((one) => one?.layers?.join(", "));
      if (layers[0] !== undefined && layers[1] !== undefined && layers[0] !== layers[1]) {
        throw invalid("start.from", `prompts on layers ${layers[0]}`, layers[1]);
      }
      const length = parameter?.hasPromptRows ? (saved[name]?.shape[0] ?? 0) : shape[0]!;
      return [name, tiled(fitting(name, saved[name], [length, ...shape.slice(1)], "start.from"), shape)];
    }),
  );
}

/** @throws OPTION_INVALID if the tensor is missing or has another shape */
function fitting(
  name: string,
  tensor: Params[string] | undefined,
  shape: readonly number[],
  key: string,
): Params[string] {
  if (`${tensor?.shape}` === `${shape}`) return tensor!;
  throw invalid(key, `a tensor "${name}" of [${shape}]`, tensor ? `[${tensor.shape}]` : "none");
}

/** The tensor's numbers again and again, or only the first of them, until the shape is full: whole rows, as widths are equal. */
function tiled({ data }: Params[string], shape: readonly number[]): Tensor<"float32"> {
  const result = zeros(shape);
  for (let at = 0, length = elementCount(shape); at < length; at += data.length) {
    result.data.set(data.subarray(0, Math.min(data.length, length - at)), at);
  }
  return result;
}

/** @throws OPTION_INVALID if a saved head answers something else than the task asks */
function checkHead(task: Task, saved: Task): void {
  const shown = (labels: readonly string[]): string => (labels.length > 0 ? labels.join(", ") : "none");
  const [labels, others] = [labelsOf(task), labelsOf(saved)].map(shown);
  if (labels !== others) throw invalid("start.head", `a saved head for the labels ${labels}`, `${others}`);
  // Dropout in front of a head is a matter of training.
  const [reads, read] = [task, saved].map(({ head: { name, options } }) => {
    const { headDropout, ...decisive } = options;
    return `${name} ${JSON.stringify(decisive)}`;
  });
  if (reads !== read) throw invalid("start.head", `a saved head of the kind ${reads}`, `${read}`);
}

function invalid(key: string, expected: string, got: string): PtuningError {
  return new PtuningError("OPTION_INVALID", `${key}: expected ${expected}, got ${got}.`, {
    hint: "Start from an adapter that fits, or with start.head: new.",
  });
}
