import { z } from "@hono/zod-openapi";
import type { App, AppParts } from "../app-types.ts";
import { readJson } from "../body.ts";
import type { AnswerParameters } from "../forms/index.ts";
import type { Served } from "../service.ts";
import { fitting, jsonBody, jsonResponse, refusals, taskRequest } from "./schemas.ts";

/** Inputs as a list, and whether they were one. */
export function itemsOf(inputs: unknown): { readonly items: readonly unknown[]; readonly isList: boolean } {
  const isList = Array.isArray(inputs);
  return { items: isList ? inputs : [inputs], isList };
}

/** Answers in the form of their Hugging Face task: one for a single input, a list for a list. */
export function taskAnswer(
  { predictions, examples, forms, task }: Served,
  parameters: AnswerParameters,
  isList: boolean,
): unknown {
  const { answer } = forms;
  const answers =
    parameters.format === "prediction"
      ? predictions
      : predictions.map((prediction, i) => answer.answer(prediction, examples[i], parameters, task));
  const isNested = answer.nested === true && parameters.format !== "prediction";
  return isList || isNested ? answers : answers[0];
}

/** The routes that clients of Hugging Face's inference know. */
export function taskRoutes(app: App, parts: AppParts): void {
  app.post("/models/:adapter", async (c) => {
    const model = c.req.param("adapter");
    parts.expectScope(c, model);
    const body = fitting(taskRequest, await readJson(c.req.raw, parts.limits));
    const { parameters = {} } = body;
    const { items, isList } = itemsOf(body.inputs);
    parts.expectRoom(items.length);
    const served = await parts.answer(c, { model, items, parameters });
    return c.json(taskAnswer(served, parameters, isList) as object);
  });
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/models/{adapter}",
    summary: "Answers of one adapter, in the form of its Hugging Face task",
    request: { params: z.object({ adapter: z.string() }), ...jsonBody(taskRequest) },
    responses: { ...jsonResponse(z.unknown(), "One answer per input."), ...refusals },
  });
}
