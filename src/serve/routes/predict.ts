import { z } from "@hono/zod-openapi";
import type { App, AppContext, AppParts } from "../app-types.ts";
import { readJson } from "../body.ts";
import { told } from "../refusals.ts";
import type { Ask } from "../service.ts";
import { errorSchema, fitting, jsonBody, jsonResponse, mixedRequest, refusals } from "./schemas.ts";
import { itemsOf, taskAnswer } from "./tasks.ts";

/** Refusals of one part that are a refusal of the whole request: it is to be sent again. */
const forAll: ReadonlySet<number> = new Set([429, 503, 504]);

/** One request for several adapters: what of it cannot be answered says so by itself. */
export function predictRoutes(app: App, parts: AppParts): void {
  const answerOne = async (c: AppContext, ask: Ask, isList: boolean): Promise<object> => {
    const { model } = ask;
    try {
      parts.expectScope(c, model);
      return { model, output: taskAnswer(await parts.answer(c, ask), ask.parameters, isList) };
    } catch (error) {
      const { status, body, isDefect } = told(error);
      if (isDefect || forAll.has(status)) throw error;
      return { model, ...body };
    }
  };
  app.post("/v1/predict", async (c) => {
    const { requests } = fitting(mixedRequest, await readJson(c.req.raw, parts.limits));
    const asks = requests.map(({ model, inputs, parameters = {} }) => {
      const { items, isList } = itemsOf(inputs);
      return { ask: { model, items, parameters }, isList };
    });
    parts.expectRoom(asks.reduce((sum, { ask }) => sum + ask.items.length, 0));
    const settled = await Promise.allSettled(asks.map(({ ask, isList }) => answerOne(c, ask, isList)));
    const results = settled.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
    return c.json({ results });
  });
  const result = z.union([
    z.object({ model: z.string(), output: z.unknown() }),
    errorSchema.extend({ model: z.string() }),
  ]);
  app.openAPIRegistry.registerPath({
    method: "post",
    path: "/v1/predict",
    summary: "Answers of several adapters in one request",
    request: jsonBody(mixedRequest),
    responses: {
      ...jsonResponse(z.object({ results: z.array(result) }), "One result per part, in their order."),
      ...refusals,
    },
  });
}
