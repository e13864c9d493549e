import type { AnswerParameters } from "../serve/index.ts";
import { ClientError, pause, retryDelay } from "./retry.ts";

/** Where a server is, and how patient the client is. */
export interface ClientOptions {
  /** `http://127.0.0.1:8080`, also with a path that the server is mounted at. */
  readonly url: string;
  /** Of a server with keys. */
  readonly key?: string;
  /** How often a request is sent again that was refused for now: 429, 503, or no answer at all. Default 4. */
  readonly retries?: number;
  /** Texts of one HTTP request at most; more are sent in pieces. Default 64. */
  readonly pieceSize?: number;
  /** Requests at a time for the pieces of one call. Default 2. */
  readonly parallel?: number;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
}

/** How one call is made. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly parameters?: Omit<AnswerParameters, "format">;
}

/** A label with its probability. */
export interface ScoredLabel {
  readonly label: string;
  readonly score: number;
}

/** A stretch of a text with what it is. */
export interface ServedEntity {
  readonly entity_group: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** An answer out of a passage. */
export interface ServedAnswer {
  readonly answer: string;
  readonly score: number;
  readonly start: number;
  readonly end: number;
}

/** A text, or two of them. */
export type TextInput = string | { readonly text: string; readonly text_pair: string };

/** A question about a passage. */
export interface QuestionInput {
  readonly question: string;
  readonly context: string;
}

/** A part of a request for several adapters. */
export interface MixedPart {
  readonly model: string;
  readonly inputs: unknown;
  readonly parameters?: AnswerParameters;
}

/** Its answer, or why there is none. */
export type MixedResult =
  | { readonly model: string; readonly output: unknown }
  | { readonly model: string; readonly error: string; readonly code: string; readonly hint?: string };

/** An adapter of a server. */
export interface ListedModel {
  readonly id: string;
  readonly state: "ready" | "unloaded" | "failed";
  readonly bytes: number;
  readonly task?: string;
  readonly labels?: readonly string[];
  readonly error?: string;
}

/** Asks a server of adapters. */
export interface Client {
  /** Labels with probabilities, best first, for each text. */
  classify(model: string, inputs: readonly TextInput[], options?: CallOptions): Promise<ScoredLabel[][]>;
  /** Entities, or other stretches, of each text. */
  tag(model: string, inputs: readonly string[], options?: CallOptions): Promise<ServedEntity[][]>;
  /** The best answer to each question. */
  ask(model: string, inputs: readonly QuestionInput[], options?: CallOptions): Promise<ServedAnswer[]>;
  /** Predictions as the library has them, of any task, for inputs in its form. */
  predict<P = unknown>(model: string, inputs: readonly unknown[], options?: CallOptions): Promise<P[]>;
  /** Likewise as they come, of a stream of any length; a few pieces are under way at a time. */
  stream<P = unknown>(
    model: string,
    inputs: Iterable<unknown> | AsyncIterable<unknown>,
    options?: CallOptions,
  ): AsyncGenerator<P, void, undefined>;
  /** Several adapters in one request. */
  mixed(parts: readonly MixedPart[], options?: Pick<CallOptions, "signal">): Promise<MixedResult[]>;
  /** The adapters that the key may use. */
  models(options?: Pick<CallOptions, "signal">): Promise<ListedModel[]>;
}

/**
 * A client of `ptuning serve`, for Node and browsers.
 * @example
 * const client = createClient({ url: "http://127.0.0.1:8080" });
 * const [[best]] = await client.classify("rte", [{ text: "It rains.", text_pair: "It is wet." }]);
 */
export function createClient(options: ClientOptions): Client {
  const { url, key, retries = 4, pieceSize = 64, parallel = 2 } = options;
  const base = url.replace(/\/+$/, "");
  const send = async (path: string, body: unknown, signal?: AbortSignal): Promise<unknown> => {
    const headers: Record<string, string> = {};
    if (key !== undefined) headers.authorization = `Bearer ${key}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      let failure: ClientError;
      try {
        const response = await (options.fetch ?? fetch)(`${base}${path}`, {
          headers,
          ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
          ...(signal && { signal }),
        });
        if (response.ok) return await response.json();
        failure = await ClientError.of(response);
      } catch (cause) {
        signal?.throwIfAborted();
        failure = new ClientError(0, "UNREACHABLE", `${base}: expected an answer, got none.`, { cause });
      }
      if (!failure.isForNow || attempt >= retries) throw failure;
      await pause(retryDelay(attempt, failure.retryAfterSeconds), signal);
    }
  };
  const answers = async (
    model: string,
    inputs: readonly unknown[],
    parameters: AnswerParameters,
    signal?: AbortSignal,
  ): Promise<unknown[]> =>
    (await send(`/models/${encodeURIComponent(model)}`, { inputs, parameters }, signal)) as unknown[];

  async function* stream<P>(
    model: string,
    inputs: Iterable<unknown> | AsyncIterable<unknown>,
    { signal, parameters }: CallOptions,
    format: "task" | "prediction",
  ): AsyncGenerator<P, void, undefined> {
    // Who stops reading, or fails, ends what is under way.
    const stop = new AbortController();
    const end = (): void => stop.abort(signal?.reason);
    signal?.addEventListener("abort", end, { once: true });
    const underWay: Promise<unknown[]>[] = [];
    const begin = (piece: readonly unknown[]): void => {
      const answer = answers(model, piece, { ...parameters, format }, stop.signal);
      answer.catch(() => {});
      underWay.push(answer);
    };
    try {
      let piece: unknown[] = [];
      for await (const input of inputs) {
        signal?.throwIfAborted();
        piece.push(input);
        if (piece.length < pieceSize) continue;
        begin(piece);
        piece = [];
        if (underWay.length >= parallel) yield* (await underWay.shift()!) as P[];
      }
      if (piece.length > 0) begin(piece);
      while (underWay.length > 0) yield* (await underWay.shift()!) as P[];
    } finally {
      signal?.removeEventListener("abort", end);
      stop.abort();
    }
  }
  const collect = async <P>(
    model: string,
    inputs: readonly unknown[],
    call: CallOptions = {},
    format: "task" | "prediction" = "task",
  ): Promise<P[]> => {
    call.signal?.throwIfAborted();
    const all: P[] = [];
    for await (const answer of stream<P>(model, inputs, call, format)) all.push(answer);
    return all;
  };
  return {
    classify: (model, inputs, call) => collect(model, inputs, call),
    tag: (model, inputs, call) => collect(model, inputs, call),
    ask: (model, inputs, call) => collect(model, inputs, call),
    predict: (model, inputs, call) => collect(model, inputs, call, "prediction"),
    stream: (model, inputs, call = {}) => stream(model, inputs, call, "prediction"),
    mixed: async (requests, { signal } = {}) =>
      ((await send("/v1/predict", { requests }, signal)) as { results: MixedResult[] }).results,
    models: async ({ signal } = {}) =>
      ((await send("/v1/models", undefined, signal)) as { data: ListedModel[] }).data,
  };
}
