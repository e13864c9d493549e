import { issueText, PtuningError } from "../core/index.ts";
import { type ExampleKinds, exampleKinds, type KindDescription } from "../data/index.ts";
import type { PooledTask, PredictorPool, PreparedItem } from "../predict/index.ts";
import type { Task } from "../tasks/index.ts";
import { type AdapterSupply, unknownAdapter } from "./adapters.ts";
import type { Costed } from "./fair-queue.ts";
import { type AnswerParameters, formsOf, type TaskForms } from "./forms/index.ts";
import type { ServeMetrics } from "./metrics.ts";
import { told } from "./refusals.ts";
import { type Answered, type BatchFacts, Scheduler } from "./scheduler.ts";

/** What requests may hold, and how they are answered. */
export interface ServiceLimits {
  /** Tokens of one run of the engine at most, padding included; a single text may have more. Default 4096. */
  readonly maxBatchTokens: number;
  /** Milliseconds that a free engine waits for more texts. Default 0. */
  readonly maxBatchDelayMs: number;
  /** Texts that may wait; more are refused with 429. Default 512. */
  readonly maxQueueTexts: number;
  /** Texts of one request. Default 128. */
  readonly maxClientBatch: number;
  /** Characters of one example. Default 50,000. */
  readonly maxCharacters: number;
  /** Milliseconds until a request is given up. Default 30,000. */
  readonly timeoutMs: number;
}

/** What is asked of one adapter. */
export interface Ask {
  readonly model: string;
  /** Examples as requests have them. */
  readonly items: readonly unknown[];
  readonly parameters: AnswerParameters;
}

/** Answers of one adapter. */
export interface Served {
  readonly task: Task;
  readonly forms: TaskForms;
  readonly examples: readonly unknown[];
  readonly predictions: readonly unknown[];
  readonly fingerprint: string;
  /** Of the texts, padding not counted. */
  readonly tokens: number;
  readonly times: Answered<unknown>;
}

/** A text on its way. */
interface Item extends Costed {
  readonly name: string;
  readonly example: unknown;
  readonly ownTokens: number;
  readonly truncated: boolean;
  /** Taken when it is run; a second try prepares anew. */
  prepared: PreparedItem | undefined;
}

/** Where examples of a request become predictions: tokenised outside of the event loop, queued, and run with those of others. */
export class PredictionService {
  readonly #pool: PredictorPool;
  readonly #supply: AdapterSupply;
  readonly #limits: ServiceLimits;
  readonly #metrics: () => ServeMetrics;
  readonly #scheduler: Scheduler<Item, unknown>;
  readonly #reading = new Map<string, Promise<void>>();

  constructor(
    pool: PredictorPool,
    supply: AdapterSupply,
    limits: ServiceLimits,
    metrics: () => ServeMetrics,
    onBatch: (facts: BatchFacts) => void,
  ) {
    this.#pool = pool;
    this.#supply = supply;
    this.#limits = limits;
    this.#metrics = metrics;
    this.#scheduler = new Scheduler<Item, unknown>({
      ...limits,
      run: (items) => this.#run(items),
      drop: (item) => item.prepared?.[Symbol.dispose](),
      onBatch: (facts, items) => {
        metrics().batch(
          facts,
          items.reduce((sum, { ownTokens }) => sum + ownTokens, 0),
        );
        onBatch(facts);
      },
    });
  }

  /** Texts that wait. */
  get waiting(): number {
    return this.#scheduler.waiting;
  }

  /** Resolves when nothing waits or runs. */
  idle(): Promise<void> {
    return this.#scheduler.idle();
  }

  /**
   * Whether so many texts of one request may be answered now.
   * @throws REQUEST_TOO_LARGE, OVERLOADED
   */
  expectRoom(texts: number): void {
    const { maxClientBatch } = this.#limits;
    if (texts > maxClientBatch) {
      throw new PtuningError(
        "REQUEST_TOO_LARGE",
        `inputs: expected at most ${maxClientBatch} texts, got ${texts}.`,
        { hint: "Send them in several requests." },
      );
    }
    this.#scheduler.expectRoom(texts);
  }

  /**
   * A task by its name, its adapter read where that is needed.
   * @throws ADAPTER_UNKNOWN, and why it cannot be read
   */
  async task(name: string): Promise<{ readonly pooled: PooledTask; readonly fingerprint: string }> {
    const whole = name.split(":", 1)[0]!;
    let adapter = this.#pool.get(whole);
    if (adapter === undefined) {
      const { reason } = this.#supply.about(whole) ?? {};
      throw reason === undefined ? unknownAdapter(name) : new PtuningError("ADAPTER_INVALID", reason);
    }
    if (adapter.state === "failed" && adapter.error) throw adapter.error;
    if (adapter.tasks.length === 0) {
      await this.#read(whole);
      adapter = this.#pool.get(whole);
    }
    const pooled = adapter?.tasks.find((task) => task.name === name);
    if (pooled !== undefined) return { pooled, fingerprint: adapter?.fingerprint ?? "unknown" };
    const known = adapter?.tasks ?? [];
    if (known.length === 0) throw unknownAdapter(name);
    throw new PtuningError(
      "ADAPTER_UNKNOWN",
      `adapter: expected one of ${known.map((task) => task.name).join(", ")}, got "${name.slice(0, 80)}".`,
    );
  }

  /** Reads an adapter once for all that wait for it. */
  #read(name: string): Promise<void> {
    const known = this.#reading.get(name);
    if (known !== undefined) return known;
    const reading = this.#supply.ensure(name).finally(() => this.#reading.delete(name));
    this.#reading.set(name, reading);
    return reading;
  }

  /**
   * Answers what is asked of one adapter.
   * @throws REQUEST_INVALID, REQUEST_TOO_LARGE, DATA_INVALID, ADAPTER_UNKNOWN, OVERLOADED, DEADLINE_EXCEEDED; the
   *   signal's reason
   */
  async answer(ask: Ask, signal: AbortSignal): Promise<Served> {
    const begun = performance.now();
    const seen = { model: "", task: "" };
    let served: Served | undefined;
    let failure: unknown;
    try {
      const { pooled, fingerprint } = await this.task(ask.model);
      seen.model = ask.model;
      seen.task = pooled.task.type;
      served = await this.#answer(ask, pooled, fingerprint, signal);
      return served;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      // 499 is what servers note where the caller went.
      const code = served ? 200 : signal.aborted ? 499 : told(failure).status;
      this.#metrics().request({
        ...seen,
        code,
        texts: ask.items.length,
        seconds: (performance.now() - begun) / 1000,
        tokenizationSeconds: served?.times.prepareSeconds ?? 0,
        ...(served && {
          queueSeconds: served.times.queueSeconds,
          inferenceSeconds: served.times.runSeconds,
        }),
      });
    }
  }

  async #answer(
    { model, items: given, parameters }: Ask,
    { task }: PooledTask,
    fingerprint: string,
    signal: AbortSignal,
  ): Promise<Served> {
    const forms = formsOf(task);
    const examples = given.map((item, i) => this.#exampleOf(item, i, forms, task));
    let tokens = 0;
    const prepare = async (stop: AbortSignal): Promise<Item[]> => {
      const items = await this.#prepareAll(model, examples, stop);
      tokens = items.reduce((sum, { ownTokens }) => sum + ownTokens, 0);
      const cut = parameters.truncate === false ? items.findIndex(({ truncated }) => truncated) : -1;
      if (cut < 0) return items;
      for (const { prepared } of items) prepared?.[Symbol.dispose]();
      throw new PtuningError(
        "DATA_INVALID",
        `inputs.${cut}: expected a text that fits the adapter's greatest length, got a longer one.`,
        { hint: "Without truncate: false its end is cut off." },
      );
    };
    const { timeoutMs } = this.#limits;
    const times = await this.#scheduler.submit(examples.length, prepare, { signal, timeoutMs });
    const { together } = forms.answer;
    const predictions = together ? together(times.answers, examples, task) : times.answers;
    return { task, forms, examples, predictions, fingerprint, tokens, times };
  }

  #exampleOf(item: unknown, index: number, { input }: TaskForms, task: Task): unknown {
    const parsed = input.item.safeParse(item);
    if (!parsed.success) {
      const problem = issueText(parsed.error.issues[0]!, item, `inputs.${index}`);
      throw new PtuningError("REQUEST_INVALID", `${problem}.`);
    }
    const { maxCharacters } = this.#limits;
    // Before it is cut into words, and after: both take time.
    const example = input.example(parsed.data, task);
    const { texts } = exampleKinds[task.reads] as KindDescription<ExampleKinds[typeof task.reads]>;
    const characters = texts(example as ExampleKinds[typeof task.reads]).reduce(
      (sum, { text }) => sum + text.length,
      0,
    );
    if (characters <= maxCharacters) return example;
    throw new PtuningError(
      "REQUEST_TOO_LARGE",
      `inputs.${index}: expected at most ${maxCharacters} characters, got ${characters}.`,
      { hint: "Send it in pieces." },
    );
  }

  /** Tokenises all examples, on the threads of the tokenizer. */
  async #prepareAll(model: string, examples: readonly unknown[], signal: AbortSignal): Promise<Item[]> {
    const settled = await Promise.allSettled(
      examples.map((example) => this.#pool.prepare(model, example, { signal })),
    );
    const failed = settled.find(({ status }) => status === "rejected") as PromiseRejectedResult | undefined;
    const adapter = model.split(":", 1)[0]!;
    if (failed === undefined) {
      return settled.map((result, i) => {
        const prepared = (result as PromiseFulfilledResult<PreparedItem>).value;
        const { tokens: ownTokens, paddedTokens: tokens, truncated } = prepared;
        return { adapter, tokens, ownTokens, truncated, name: model, example: examples[i], prepared };
      });
    }
    for (const result of settled) if (result.status === "fulfilled") result.value[Symbol.dispose]();
    throw failed.reason;
  }

  async #run(items: readonly Item[]): Promise<readonly unknown[]> {
    const ready: PreparedItem[] = [];
    try {
      for (const item of items) {
        ready.push(item.prepared ?? (await this.#pool.prepare(item.name, item.example)));
        item.prepared = undefined;
      }
    } catch (error) {
      for (const item of ready) item[Symbol.dispose]();
      throw error;
    }
    return await this.#pool.run(ready);
  }
}
