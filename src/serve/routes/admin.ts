import { PtuningError } from "../../core/index.ts";
import { unknownAdapter } from "../adapters.ts";
import type { App, AppParts } from "../app-types.ts";

/** Loads and unloads, as the repository extension of the Open Inference Protocol has it. */
export function adminRoutes(app: App, { pool, supply }: AppParts): void {
  app.post("/v2/repository/models/:adapter/load", async (c) => {
    const name = c.req.param("adapter");
    await supply.load(name);
    return c.json({ name, state: "READY", bytes: pool.get(name)?.bytes ?? 0 });
  });
  app.post("/v2/repository/models/:adapter/unload", async (c) => {
    const name = c.req.param("adapter");
    const adapter = pool.get(name);
    if (adapter === undefined) throw unknownAdapter(name);
    if (adapter.pinned) {
      throw new PtuningError("ADAPTER_CONFLICT", `adapter "${name}": expected one that is not pinned.`);
    }
    await supply.unload(name);
    return c.json({ name, state: "UNAVAILABLE" });
  });
}
