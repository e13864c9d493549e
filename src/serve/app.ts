import { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import { PtuningError } from "../core/index.ts";
import { packageVersion } from "../files/index.ts";
import type { PredictorPool } from "../predict/index.ts";
import { type AdapterSupply, noSupply } from "./adapters.ts";
import type { App, AppContext, AppEnv, AppParts, RequestNotes } from "./app-types.ts";
import type { BodyLimits } from "./body.ts";
import type { AdapterEvent, ServeEvent } from "./events.ts";
import { anyone, type Caller, KeyRing, type StoredKey } from "./keys.ts";
import { ServeMetrics } from "./metrics.ts";
import { Refused, told } from "./refusals.ts";
import { adminRoutes } from "./routes/admin.ts";
import { healthRoutes } from "./routes/health.ts";
import { modelRoutes } from "./routes/models.ts";
import { pageRoutes } from "./routes/page.ts";
import { predictRoutes } from "./routes/predict.ts";
import { protocolRoutes } from "./routes/protocol.ts";
import { taskRoutes } from "./routes/tasks.ts";
import { PredictionService, type ServiceLimits } from "./service.ts";
import { traceOf, traceparent } from "./trace.ts";

/** What a server of predictions is made of. */
export interface AppOptions extends Partial<ServiceLimits>, Partial<BodyLimits> {
  readonly pool: PredictorPool;
  /** Id of the backbone, for lists of models. */
  readonly backbone: string;
  /** Who may ask what: keys, or `anyone`. */
  readonly keys: readonly StoredKey[] | "anyone";
  /** Where adapters come from that the pool has not read yet; default: the pool has them all. */
  readonly supply?: AdapterSupply;
  /** Sites whose pages may ask: `https://example.org`. Default none. */
  readonly corsOrigins?: readonly string[];
  /** Names by which the server may be called, without ports; default: any. */
  readonly allowedHosts?: readonly string[];
  /** Histograms by adapter too. Default false. */
  readonly metricsPerAdapter?: boolean;
  /** Not ready before {@link ServeApp.open} is called. Default false. */
  readonly isStarting?: boolean;
  readonly onEvent?: (event: ServeEvent) => void;
}

/** A server of predictions as a function of requests, for any place that has those. */
export interface ServeApp {
  /** Answers a request, as Web standards have it. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** Likewise, for a port of its own that only the machine reaches: loads and unloads adapters. */
  readonly admin: (request: Request) => Promise<Response>;
  /** Changes who may ask. */
  setKeys(keys: readonly StoredKey[] | "anyone"): void;
  /** Takes requests from now on. */
  open(): void;
  /** Counts what was read, or could not be. */
  noteLoad(event: AdapterEvent): void;
  /** Refuses new requests. @returns when what was taken is answered */
  drain(): Promise<void>;
  /** Requests for predictions under way. */
  readonly underWay: number;
}

/** The defaults of everything that has one. */
export const serveDefaults: ServiceLimits & BodyLimits = {
  maxBatchTokens: 4096,
  maxBatchDelayMs: 0,
  maxQueueTexts: 512,
  maxClientBatch: 128,
  maxCharacters: 50_000,
  timeoutMs: 30_000,
  maxBodyBytes: 2 * 2 ** 20,
  bodyTimeoutMs: 10_000,
};

/**
 * Serves a pool of adapters over HTTP. The app is ready at once; {@link ServeApp.drain} ends that.
 * @example
 * const app = createApp({ pool, backbone: "minilm", keys: "anyone" });
 * const response = await app.fetch(new Request("http://localhost/v1/models"));
 */
export function createApp(options: AppOptions): ServeApp {
  const { pool, supply = noSupply, onEvent, allowedHosts, corsOrigins = [] } = options;
  const limits = { ...serveDefaults, ...options };
  let ring = ringOf(options.keys);
  let state: "starting" | "ready" | "draining" = options.isStarting ? "starting" : "ready";
  let underWay = 0;
  const service: PredictionService = new PredictionService(
    pool,
    supply,
    limits,
    () => metrics,
    (facts) => onEvent?.({ type: "batch", ...facts }),
  );
  const loaded = (): { count: number; bytes: number } => {
    const ready = pool.list().filter(({ state }) => state === "ready");
    return { count: ready.length, bytes: ready.reduce((sum, { bytes }) => sum + bytes, 0) };
  };
  const metrics: ServeMetrics = new ServeMetrics(
    { queueTexts: () => service.waiting, loaded },
    options.metricsPerAdapter === true,
  );
  const expectReady = (): void => {
    if (state === "ready") return;
    throw new PtuningError(
      "SERVER_NOT_READY",
      `server: expected one that is ready, got one that is ${state}.`,
    );
  };
  const callerOf = (c: AppContext): Caller => {
    const caller = ring === undefined ? anyone : ring.callerOf(c.req.header("authorization"));
    c.get("notes").caller = caller;
    return caller;
  };
  const mayUse: AppParts["mayUse"] = (c, adapter) => c.get("notes").caller?.mayUse(adapter) === true;
  const parts: AppParts = {
    ...{ pool, supply, service, metrics, limits, backbone: options.backbone },
    isReady: () => state === "ready",
    isLive: () => true,
    mayUse,
    expectScope(c, adapter) {
      if (mayUse(c, adapter)) return;
      throw new PtuningError("FORBIDDEN", "key: expected one that may use this adapter, got another.");
    },
    async answer(c, ask) {
      expectReady();
      underWay++;
      const notes = c.get("notes");
      notes.texts += ask.items.length;
      try {
        const served = await service.answer(ask, c.req.raw.signal);
        const { prepareSeconds, queueSeconds, runSeconds } = served.times;
        notes.models.push(ask.model);
        notes.tokens += served.tokens;
        notes.tokenizationSeconds = Math.max(notes.tokenizationSeconds, prepareSeconds);
        notes.queueSeconds = Math.max(notes.queueSeconds, queueSeconds);
        notes.inferenceSeconds = Math.max(notes.inferenceSeconds, runSeconds);
        return served;
      } finally {
        underWay--;
      }
    },
    expectRoom(texts) {
      expectReady();
      service.expectRoom(texts);
    },
  };

  const base = (): App => {
    const app = new OpenAPIHono<AppEnv>();
    app.use(async (c, next) => {
      const notes = notesOf(c.req.header("traceparent"));
      c.set("notes", notes);
      await next();
      c.res.headers.set("traceparent", traceparent(notes.trace));
      c.res.headers.set("x-content-type-options", "nosniff");
      if (notes.models.length > 0) setTimes(c.res.headers, notes);
      onEvent?.(eventOf(c, notes));
    });
    app.onError((error, c) => {
      const { status, body, headers, isDefect } = told(error);
      const notes = c.get("notes");
      notes.code = body.code;
      const isGone = c.req.raw.signal.aborted;
      if (isDefect && !isGone) onEvent?.({ type: "defect", error, traceId: notes.trace.traceId });
      return c.json(body, status as 400, headers);
    });
    app.use(async (c, next) => {
      if (allowedHosts !== undefined && !allowedHosts.includes(hostOf(c.req.raw))) {
        throw new Refused(421, "FORBIDDEN", "host: expected a name of this server, got another.", {
          hint: "Name it with --allow-host, or ask with a key.",
        });
      }
      await next();
    });
    return app;
  };

  const app = base();
  if (corsOrigins.length > 0) {
    app.use(
      cors({
        origin: [...corsOrigins],
        allowHeaders: ["authorization", "content-type", "traceparent"],
        exposeHeaders: [...timeHeaders.map(([name]) => name), "retry-after", "traceparent"],
        maxAge: 600,
      }),
    );
  }
  // Open to all: whether it lives, and a page that is the same everywhere.
  healthRoutes(app, parts);
  pageRoutes(app);
  app.use(async (c, next) => {
    callerOf(c);
    await next();
  });
  taskRoutes(app, parts);
  predictRoutes(app, parts);
  modelRoutes(app, parts);
  protocolRoutes(app, parts);
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "ptuning serve", version: packageVersion() },
    security: ring === undefined ? [] : [{ key: [] }],
  });
  app.openAPIRegistry.registerComponent("securitySchemes", "key", { type: "http", scheme: "bearer" });
  app.notFound(otherMethod(app));

  const admin = base();
  admin.use(async (c, next) => {
    // Programs send none; a page that somebody has open would.
    if (c.req.header("origin") !== undefined) {
      throw new PtuningError("FORBIDDEN", "origin: expected a program, got a page.");
    }
    if (!callerOf(c).admin) {
      throw new PtuningError("FORBIDDEN", "key: expected one with admin, got another.");
    }
    await next();
  });
  adminRoutes(admin, parts);
  admin.notFound(otherMethod(admin));

  return {
    fetch: async (request) => app.fetch(request),
    admin: async (request) => admin.fetch(request),
    setKeys(keys) {
      ring = ringOf(keys);
    },
    open() {
      state = "ready";
    },
    noteLoad({ type }) {
      if (type === "adapter-loaded") metrics.load("ok");
      if (type === "adapter-failed") metrics.load("failed");
    },
    async drain() {
      state = "draining";
      await service.idle();
    },
    get underWay() {
      return underWay;
    },
  };
}

function ringOf(keys: AppOptions["keys"]): KeyRing | undefined {
  return keys === "anyone" ? undefined : new KeyRing(keys);
}

function notesOf(trace: string | undefined): RequestNotes {
  return {
    trace: traceOf(trace),
    begun: performance.now(),
    caller: undefined,
    code: undefined,
    models: [],
    ...{ texts: 0, tokens: 0, queueSeconds: 0, tokenizationSeconds: 0, inferenceSeconds: 0 },
  };
}

/** Times in milliseconds, as text-embeddings-inference names them. */
const timeHeaders: readonly (readonly [string, (notes: RequestNotes) => number])[] = [
  ["x-queue-time", ({ queueSeconds }) => queueSeconds * 1000],
  ["x-tokenization-time", ({ tokenizationSeconds }) => tokenizationSeconds * 1000],
  ["x-inference-time", ({ inferenceSeconds }) => inferenceSeconds * 1000],
  ["x-total-time", ({ begun }) => performance.now() - begun],
  ["x-compute-tokens", ({ tokens }) => tokens],
];

function setTimes(headers: Headers, notes: RequestNotes): void {
  for (const [name, value] of timeHeaders) headers.set(name, String(Math.round(value(notes))));
}

function eventOf(c: AppContext, notes: RequestNotes): ServeEvent {
  const { caller, code, models, texts, tokens, trace, begun, queueSeconds } = notes;
  return {
    type: "request",
    method: c.req.method,
    route: routeOf(c),
    status: c.res.status,
    ...(code !== undefined && { code }),
    models,
    ...(caller !== undefined && caller !== anyone && { caller: caller.name }),
    texts,
    tokens,
    milliseconds: performance.now() - begun,
    queueMilliseconds: queueSeconds * 1000,
    traceId: trace.traceId,
    abandoned: c.req.raw.signal.aborted,
  };
}

function routeOf(c: AppContext): string {
  return c.req.matchedRoutes.findLast(({ method }) => method !== "ALL")?.path ?? "*";
}

function hostOf(request: Request): string {
  return new URL(request.url).hostname.toLowerCase();
}

/** Refuses what no route takes, and says where only the method is wrong. */
function otherMethod(app: App): (c: AppContext) => never {
  const routes = app.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => ({ method, pattern: new RegExp(`^${path.replace(/:\w+/g, "[^/]+")}$`) }));
  return (c) => {
    const methods = routes.filter(({ pattern }) => pattern.test(c.req.path)).map(({ method }) => method);
    if (methods.length === 0) {
      throw new PtuningError("ROUTE_UNKNOWN", "path: expected one of this server's, got another.", {
        hint: "GET /openapi.json lists them.",
      });
    }
    const allow = [...new Set(methods)].join(", ");
    throw new Refused(
      405,
      "REQUEST_INVALID",
      `method: expected ${allow}, got ${c.req.method.slice(0, 20)}.`,
      {
        headers: { allow },
      },
    );
  };
}
