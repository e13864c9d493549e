import { z } from "@hono/zod-openapi";
import { PtuningError } from "../../core/index.ts";
import { type ServedModel, servedModels } from "../adapters.ts";
import type { App, AppParts } from "../app-types.ts";
import { answerForms } from "../forms/index.ts";
import { jsonResponse, refusals } from "./schemas.ts";

const model = z
  .object({
    id: z.string(),
    object: z.literal("model"),
    parent: z.string(),
    root: z.string(),
    task: z.string().optional(),
    pipeline: z.string().optional(),
    labels: z.array(z.string()).optional(),
    max_length: z.int().optional(),
    method: z.string().optional(),
    fingerprint: z.string().optional(),
    bytes: z.int(),
    state: z.enum(["ready", "unloaded", "failed"]),
    pinned: z.boolean(),
    error: z.string().optional(),
  })
  .openapi("Model");

/** Lists of what is served, and measurements. */
export function modelRoutes(app: App, parts: AppParts): void {
  const { pool, supply, metrics, backbone } = parts;
  app.get("/v1/models", (c) => {
    const all = servedModels(pool, supply).filter(({ id }) => parts.mayUse(c, id));
    return c.json({ object: "list", data: all.map((one) => listed(one, backbone)) });
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/v1/models",
    summary: "The adapters that the key may use, with what they do and whether they can",
    responses: {
      ...jsonResponse(z.object({ object: z.literal("list"), data: z.array(model) }), "All of them."),
      ...refusals,
    },
  });
  app.get("/metrics", async (c) => {
    if (c.get("notes").caller?.metrics !== true) {
      throw new PtuningError("FORBIDDEN", "key: expected one with metrics, got another.");
    }
    return c.body(await metrics.text(), 200, { "content-type": metrics.contentType });
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/metrics",
    summary: "Measurements, for Prometheus",
    responses: { 200: { description: "Text of Prometheus." }, 401: refusals["401"]!, 403: refusals["403"]! },
  });
}

function listed({ id, adapter, task, state, method, reason }: ServedModel, backbone: string): object {
  const { bytes, pinned, fingerprint } = adapter;
  return {
    ...{ id, object: "model", parent: backbone, root: backbone },
    ...(task && {
      task: task.task.type,
      pipeline: answerForms[task.task.type]?.pipeline,
      labels: task.labels,
      max_length: task.maxLength,
    }),
    ...(method !== undefined && { method }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...{ bytes, state, pinned },
    ...(reason !== undefined && { error: reason }),
  };
}
