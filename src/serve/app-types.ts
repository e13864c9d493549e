import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { PredictorPool } from "../predict/index.ts";
import type { AdapterSupply } from "./adapters.ts";
import type { BodyLimits } from "./body.ts";
import type { Caller } from "./keys.ts";
import type { ServeMetrics } from "./metrics.ts";
import type { Ask, PredictionService, Served } from "./service.ts";
import type { TracePlace } from "./trace.ts";

/** What is noted of a request on its way. */
export interface RequestNotes {
  readonly trace: TracePlace;
  readonly begun: number;
  caller: Caller | undefined;
  code: string | undefined;
  models: string[];
  texts: number;
  tokens: number;
  queueSeconds: number;
  tokenizationSeconds: number;
  inferenceSeconds: number;
}

export interface AppEnv {
  Variables: { notes: RequestNotes };
}

export type App = OpenAPIHono<AppEnv>;
export type AppContext = Context<AppEnv>;

/** What routes are made of. */
export interface AppParts {
  readonly pool: PredictorPool;
  readonly supply: AdapterSupply;
  readonly service: PredictionService;
  readonly metrics: ServeMetrics;
  readonly limits: BodyLimits;
  /** Id of the backbone. */
  readonly backbone: string;
  isReady(): boolean;
  isLive(): boolean;
  /** @throws FORBIDDEN if the key may not use the adapter */
  expectScope(c: AppContext, adapter: string): void;
  /** Whether the key may use it. */
  mayUse(c: AppContext, adapter: string): boolean;
  /** Answers, and notes what it took. @throws SERVER_NOT_READY */
  answer(c: AppContext, ask: Ask): Promise<Served>;
  /** Refuses what cannot be answered now. @throws SERVER_NOT_READY, REQUEST_TOO_LARGE, OVERLOADED */
  expectRoom(texts: number): void;
}
