import { z } from "@hono/zod-openapi";
import type { App, AppParts } from "../app-types.ts";
import { jsonResponse } from "./schemas.ts";

/** Whether the server lives, and whether it takes requests; open to all. */
export function healthRoutes(app: App, parts: AppParts): void {
  app.get("/v2/health/live", (c) => c.json({ live: true }));
  // The protocol's document prints `live` here as well: clients may look at either.
  app.get("/v2/health/ready", (c) => {
    const ready = parts.isReady();
    return c.json({ live: true, ready }, ready ? 200 : 503);
  });
  const live = z.object({ live: z.boolean() });
  const ready = z.object({ live: z.boolean(), ready: z.boolean() });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/v2/health/live",
    summary: "Whether the server lives",
    security: [],
    responses: jsonResponse(live, "It does."),
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/v2/health/ready",
    summary: "Whether the server takes requests",
    security: [],
    responses: {
      ...jsonResponse(ready, "It does."),
      503: { description: "It is starting or ending.", content: { "application/json": { schema: ready } } },
    },
  });
}
