import { type Adapter, backboneDoubts, checkBackbone, type SavedAdapter } from "../adapters/portable.ts";
import type { Backbone } from "../backbones/index.ts";
import { elementCount, type Params, PtuningError, type Tensor, zeros } from "../core/index.ts";
import { encodeSafetensors, hashText } from "../files/portable.ts";
import { type Method, methodFrom, type Parameter } from "../methods/index.ts";
import {
  foldParams,
  headParameter,
  headShapes,
  type ModelParts,
  type ParamShapes,
  paramShapes,
} from "../model/index.ts";
import { labelsOf, type Task, taskFrom } from "../tasks/index.ts";
import type { TrainingState } from "./state.ts";

/** What a run starts from instead of random numbers. */
export interface Start {
  /** An adapter, or the state of a run, which still has the network that saving folds away. */
  readonly from: SavedAdapter | TrainingState;
  /**
   * The head: a `new` one, or the saved one, trained on (`keep`) or left as it is (`freeze`). With several tasks those
   * of the same names. Default `new`.
   */
  readonly head?: "new" | "keep" | "freeze";
  /** Which head of several a run of one task takes over. */
  readonly task?: string;
}

/** Tensors that take the place of those that would be drawn. */
export interface StartingTensors {
  /** Trained on. */
  readonly params: Params;
  /** Not trained. */
  readonly fixed: Params;
  /** Weights that the checkpoint lacks and that the saved heads read. */
  readonly frozen: Params;
}

/** An adapter of one task or several, or a training state, as the same thing. */
interface Source extends Pick<Adapter, "method" | "backbone"> {
  /** All trained tensors; those of a head under {@link headParameter}. */
  readonly params: Params;
  /** By name; "" where there is only one. */
  readonly heads: Readonly<Record<string, { readonly task: Task; readonly frozen?: Params }>>;
}

/** The best state of a run so far is what its adapter would be. */
function sourceOf(from: Start["from"]): Source {
  if ("shared" in from) {
    const own = Object.entries(from.heads).flatMap(([head, { params }]) =>
      Object.entries(params).map(([name, tensor]) => [headParameter(head, name), tensor]),
    );
    const { method, backbone, heads } = from;
    return { method, backbone, heads, params: { ...from.shared, ...Object.fromEntries(own) } };
  }
  if (!("step" in from)) {
    const { method, backbone, params } = from;
    return { method, backbone, params, heads: { "": from } };
  }
  const { method, tasks, backbone } = from.origin;
  return {
    method: methodFrom(method.name, method.options),
    heads: Object.fromEntries(
      Object.entries(tasks).map(([name, { type, options }]) => [
        name,
        { task: taskFrom(type, options), frozen: from.frozen },
      ]),
    ),
    params: { ...(from.best?.params ?? from.params), ...from.fixed },
    backbone,
  };
}

/** A task of the run that starts, and its model. */
interface Starting {
  readonly parts: ModelParts & { readonly backbone: Backbone };
  readonly task: Task;
}

/**
 * Takes over the tensors of the method, and those of the heads where that is wanted.
 * @throws ADAPTER_INCOMPATIBLE if the backbone is another one; OPTION_INVALID if something does not fit
 */
export async function startingTensors(
  { from, head: wanted = "new", task: chosen }: Start,
  tasks: readonly Starting[],
): Promise<StartingTensors> {
  const source = sourceOf(from);
  const { backbone, method } = tasks[0]!.parts;
  checkBackbone(source.backbone, backbone);
  const own = tasks.map(({ parts }) => headShapes(parts));
  const shapes: ParamShapes = Object.assign({}, ...tasks.map(({ parts }) => paramShapes(parts)));
  const shared = Object.fromEntries(
    Object.entries(shapes).filter(([name]) => own.every((head) => !(name in head))),
  );
  if (Object.keys(shared).length === 0 && wanted !== "keep") {
    throw invalid("start.head", `keep, as ${method.name} trains nothing but the head`, wanted);
  }
  const saved =
    method.folding === undefined
      ? await foldParams(source.method, source.params, backbone.engine)
      : source.params;
  const params = takeOver(shared, saved, method, source, backbone);
  if (wanted === "new") return { params, fixed: {}, frozen: {} };
  const heads: Record<string, Params[string]> = {};
  const frozen: Record<string, Params[string]> = {};
  for (const [i, { parts, task }] of tasks.entries()) {
    const name = savedHead(parts.headName ?? chosen, source);
    const { task: savedTask, frozen: brought } = source.heads[name]!;
    checkHead(task, savedTask);
    for (const [key, { shape }] of Object.entries(own[i]!)) {
      const theirs = headParameter(name, key.slice(headParameter(parts.headName, "").length));
      heads[key] = structuredClone(fitting(theirs, source.params[theirs], shape, "start.head"));
    }
    Object.assign(frozen, brought);
  }
  if (wanted === "keep") return { params: { ...params, ...heads }, fixed: {}, frozen };
  return { params, fixed: heads, frozen };
}

/** What cannot be told of whether the start was trained on this backbone, for people. */
export function startDoubts({ from }: Start, backbone: Backbone): readonly string[] {
  const { source } = from as Partial<Adapter>;
  return backboneDoubts({ backbone: sourceOf(from).backbone, ...(source && { source }) }, backbone).map(
    (doubt) => `start.from: ${doubt}`,
  );
}

/** Name of the head that is taken over. @throws OPTION_INVALID listing the heads */
function savedHead(wanted: string | undefined, { heads }: Source): string {
  const names = Object.keys(heads);
  if (wanted === undefined ? names[0] === "" : names.includes(wanted)) return wanted ?? "";
  const known = names[0] === "" ? "only one, without a name" : `the heads ${names.join(", ")}`;
  throw new PtuningError(
    "OPTION_INVALID",
    `start.head: expected ${wanted === undefined ? "one head" : `a saved head "${wanted}"`}, got ${known}.`,
    { hint: "Say which head to take (start.task), or start with start.head: new." },
  );
}

/** What a resumed run must have in common with the saved one. */
export function startIdentity({ from, head = "new", task = "" }: Start): string {
  const { params, heads } = sourceOf(from);
  const frozen = Object.entries(heads).flatMap(([name, one]) =>
    Object.entries(one.frozen ?? {}).map(
      ([key, tensor]) => [`frozen ${headParameter(name, key)}`, tensor] as const,
    ),
  );
  return `${head} ${task} ${hashText(encodeSafetensors({ ...params, ...Object.fromEntries(frozen) }))}`;
}

function takeOver(
  wanted: ParamShapes,
  saved: Params,
  method: Method,
  source: Source,
  { config, architecture }: Backbone,
): Params {
  const [ours, theirs] = [method, source.method].map(({ parameters }) => parameters(config, architecture));
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
