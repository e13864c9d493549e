import { z } from "@hono/zod-openapi";
import { issueText, PtuningError } from "../../core/index.ts";
import { type AnswerParameters, answerParameters } from "../forms/index.ts";

/** Schemas of requests and responses: requests are checked by them, and the OpenAPI document is made of all. */

export const errorSchema: z.ZodObject = z
  .object({ error: z.string(), code: z.string(), hint: z.string().optional() })
  .openapi("Error");

/** One example or several, in the form of the adapter's task, which is checked when that is known. */
const inputs = z.unknown().openapi({
  description:
    "An example or a list: a text or {text, text_pair} for classification, multi-label and regression; a text or {words} for " +
    "token classification; {question, context} for question answering; {text, choices} for multiple choice; {words, predicate} " +
    "for semantic roles.",
  anyOf: [{ type: "string" }, { type: "array", items: {} }, { type: "object" }],
  examples: ["It rains.", ["It rains.", "It is dry."], { text: "It rains.", text_pair: "It is wet." }],
});

/** A request for one adapter. */
interface TaskRequest {
  readonly inputs?: unknown;
  readonly parameters?: AnswerParameters | undefined;
}

export const taskRequest: z.ZodType<TaskRequest> = z
  .object({ inputs, parameters: answerParameters.optional(), options: z.unknown().optional() })
  .openapi("TaskRequest");

/** A request for several. */
interface MixedRequest {
  readonly requests: readonly (TaskRequest & { readonly model: string })[];
}

export const mixedRequest: z.ZodType<MixedRequest> = z
  .object({
    requests: z
      .array(z.object({ model: z.string().max(300), inputs, parameters: answerParameters.optional() }))
      .min(1)
      .max(1000),
  })
  .openapi("MixedRequest");

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const tensorData = z.array(z.union([z.string(), z.number(), z.array(z.union([z.string(), z.number()]))]));

/** A tensor of a request. */
export interface GivenTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data: readonly (string | number | readonly (string | number)[])[];
}

/** A request of the Open Inference Protocol. */
export interface InferRequest {
  readonly id?: string | undefined;
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  readonly inputs: readonly GivenTensor[];
  readonly outputs?: readonly { readonly name: string }[] | undefined;
}

export const protocolRequest: z.ZodType<InferRequest> = z
  .object({
    id: z.string().max(1000).optional(),
    parameters: z.record(z.string(), scalar).optional(),
    inputs: z
      .array(
        z.object({
          name: z.string().max(100),
          shape: z.array(z.int().min(0)).min(1).max(4),
          datatype: z.string().max(20),
          parameters: z.record(z.string(), scalar).optional(),
          data: tensorData,
        }),
      )
      .min(1)
      .max(20),
    outputs: z
      .array(z.object({ name: z.string().max(100), parameters: z.record(z.string(), scalar).optional() }))
      .max(20)
      .optional(),
  })
  .openapi("InferRequest");

/**
 * A body that fits its schema.
 * @throws REQUEST_INVALID naming the first key that does not
 */
export function fitting<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new PtuningError(
    "REQUEST_INVALID",
    `${issueText(parsed.error.issues[0] as Parameters<typeof issueText>[0], body, "body")}.`,
  );
}

/** A body as the OpenAPI document describes it. */
interface DescribedBody {
  readonly content: { readonly "application/json": { readonly schema: z.ZodType } };
}

/** A response likewise. */
interface Described extends DescribedBody {
  readonly description: string;
}

/** Responses of every route that is behind keys. */
export const refusals: { [status: string]: Described } = Object.fromEntries(
  (
    [
      [400, "No JSON, or not of the form that the route wants."],
      [401, "No key, or an unknown one."],
      [403, "The key may not use the adapter."],
      [404, "No such adapter."],
      [405, "Another method is meant."],
      [408, "The body came too slowly."],
      [413, "Too many bytes, characters or texts."],
      [415, "Not application/json."],
      [422, "The inputs do not fit the adapter's task."],
      [424, "The adapter cannot be read."],
      [429, "The queue is full; Retry-After says when to ask again."],
      [503, "The server is starting or ending."],
      [504, "Not answered in time."],
    ] as const
  ).map(([status, description]) => [
    status,
    { description, content: { "application/json": { schema: errorSchema } } },
  ]),
);

export function jsonBody(schema: z.ZodType): { body: DescribedBody & { readonly required: true } } {
  return { body: { required: true, content: { "application/json": { schema } } } };
}

export function jsonResponse(schema: z.ZodType, description: string): { 200: Described } {
  return { 200: { description, content: { "application/json": { schema } } } };
}
