import * as z from "zod";
import type { Task } from "../../tasks/index.ts";

/** What a request says beside its inputs; the forms of answers take what concerns them. */
export interface AnswerParameters {
  /** So many of the best answers; default: all labels, one answer to a question. */
  readonly top_k?: number;
  readonly function_to_apply?: "softmax" | "sigmoid" | "none";
  readonly aggregation_strategy?: "none" | "simple" | "first" | "average" | "max";
  readonly handle_impossible_answer?: boolean;
  readonly candidate_labels?: readonly string[];
  readonly multi_label?: boolean;
  /** What `start` and `end` count: Unicode characters, as Python does, or JavaScript's string indices. */
  readonly offset_unit?: "codepoint" | "utf16";
  /** Whether what does not fit the greatest length may be cut off unseen. */
  readonly truncate?: boolean;
  /** The form of answers: that of the Hugging Face task, or the prediction as `ptuning predict` has it. */
  readonly format?: "task" | "prediction";
}

/** Parameters of a request, each one optional; an unknown one is refused. */
export const answerParameters: z.ZodType<AnswerParameters> = z.strictObject({
  top_k: z.int().min(1).max(100_000).exactOptional(),
  function_to_apply: z.enum(["softmax", "sigmoid", "none"]).exactOptional(),
  aggregation_strategy: z.enum(["none", "simple", "first", "average", "max"]).exactOptional(),
  handle_impossible_answer: z.boolean().exactOptional(),
  candidate_labels: z.array(z.string().max(1000)).min(1).max(1000).exactOptional(),
  multi_label: z.boolean().exactOptional(),
  offset_unit: z.enum(["codepoint", "utf16"]).exactOptional(),
  truncate: z.boolean().exactOptional(),
  format: z.enum(["task", "prediction"]).exactOptional(),
}) as z.ZodType<AnswerParameters>;

/** A tensor of the Open Inference Protocol, by name; −1 in a shape is any number. */
export interface TensorFacts {
  readonly name: string;
  readonly datatype: "BYTES" | "FP32" | "FP64" | "INT32" | "INT64";
  readonly shape: readonly number[];
}

/** How examples of one kind stand in requests. */
export interface InputForm<E = unknown> {
  /** One example in `inputs`. */
  readonly item: z.ZodType;
  /** An example of the item; what is wrong with it is told with its key. */
  example(item: unknown, task: Task): E;
  /** Inputs of the Open Inference Protocol. */
  readonly tensors: readonly TensorFacts[];
  /** Those that may be left out. */
  readonly optional: readonly string[];
  /** The item of one row of these; each input has the values of its row. */
  row(values: Readonly<Record<string, readonly (string | number)[]>>): unknown;
}

/** How answers of one type of task stand in responses. */
export interface AnswerForm<E = unknown, P = unknown> {
  /** The Hugging Face task whose form it has, or a name of our own where there is none. */
  readonly pipeline: string;
  /** Whether the answer to a single input stands in a list of its own. */
  readonly nested?: boolean;
  /** One answer. @throws DATA_INVALID if a parameter does not fit the task */
  answer(prediction: P, example: E, parameters: AnswerParameters, task: Task): unknown;
  /** Predictions that depend on one another, of one request. */
  together?(predictions: readonly P[], examples: readonly E[], task: Task): readonly P[];
  /** Outputs of the Open Inference Protocol. */
  outputs(task: Task): readonly TensorFacts[];
  /** Their values, in the same order. */
  tensors(
    predictions: readonly P[],
    examples: readonly E[],
    parameters: AnswerParameters,
    task: Task,
  ): readonly (readonly (string | number)[])[];
}
