import type { App } from "../app-types.ts";
import { page, pagePolicy } from "../page.ts";

/** A page to try the server; it is the same on every server, and asks with the key that it is given. */
export function pageRoutes(app: App): void {
  app.get("/", (c) =>
    c.html(page, 200, { "content-security-policy": pagePolicy, "referrer-policy": "no-referrer" }),
  );
}
