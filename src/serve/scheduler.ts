import { PtuningError } from "../core/index.ts";
import { type Costed, FairQueue } from "./fair-queue.ts";

/** How a scheduler works. */
export interface SchedulerOptions<I extends Costed, A> {
  /** Answers texts of any adapters: one answer per text, in their order. Called once at a time. */
  readonly run: (items: readonly I[]) => Promise<readonly A[]>;
  /** Tokens of one run at most, padding included; a single text may have more. */
  readonly maxBatchTokens: number;
  /** Texts that may wait. */
  readonly maxQueueTexts: number;
  /** How long a run waits for more texts while the engine is free, in milliseconds; 0: not at all. */
  readonly maxBatchDelayMs?: number;
  /** Given back what will not be run, as nobody waits for it any more. */
  readonly drop?: (item: I) => void;
  /** Told of each run. */
  readonly onBatch?: (batch: BatchFacts, items: readonly I[]) => void;
}

/** What was run together. */
export interface BatchFacts {
  readonly texts: number;
  readonly tokens: number;
  readonly adapters: number;
  readonly seconds: number;
  /** Why it was no larger: nothing else waited, or the budget was used up. */
  readonly reason: "all" | "budget";
  readonly failed: boolean;
}

/** Answers to a request, and where its time went. */
export interface Answered<A> {
  readonly answers: readonly A[];
  /** Until all of its texts were ready to run. */
  readonly prepareSeconds: number;
  /** From then until the first was taken. */
  readonly queueSeconds: number;
  /** From then on. */
  readonly runSeconds: number;
}

/** When a request is given up. */
export interface SubmitOptions {
  /** Who asked is gone: what waits of it leaves the queue, what runs is dropped. */
  readonly signal?: AbortSignal;
  /** Milliseconds to its end. */
  readonly timeoutMs?: number;
}

/** A refusal for now, with the seconds after which it makes sense to ask again. */
export class Overloaded extends PtuningError {
  readonly retryAfterSeconds: number;

  constructor(waiting: number, most: number, retryAfterSeconds: number) {
    super("OVERLOADED", `queue: expected room for more texts, got ${waiting} of at most ${most} waiting.`, {
      hint: `Send it again in ${retryAfterSeconds} s.`,
    });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

interface Request<A> {
  readonly answers: A[];
  /** Texts without an answer yet. */
  open: number;
  started: number;
  isSettled: boolean;
  settle(failure?: { readonly error: unknown }): void;
}

interface Entry<I extends Costed, A> extends Costed {
  readonly item: I;
  readonly request: Request<A>;
  readonly index: number;
}

/** Tokens per second before anything was measured. */
const firstRate = 2000;
/** Weight of the latest run in the measured rate. */
const rateWeight = 0.2;
const mostRetrySeconds = 60;

/**
 * Collects the texts of requests while the engine works, and gives it the next lot as soon as it is free: no text waits for
 * others to come. A run is as large as its budget of tokens, and fair between adapters ({@link FairQueue}). Admission counts
 * texts, in whatever requests they come.
 */
export class Scheduler<I extends Costed, A> {
  readonly #options: SchedulerOptions<I, A>;
  readonly #queue = new FairQueue<Entry<I, A>>();
  /** Texts that are being prepared. */
  #preparing = 0;
  #isRunning = false;
  #rate = firstRate;
  #onIdle: (() => void)[] = [];

  constructor(options: SchedulerOptions<I, A>) {
    this.#options = options;
  }

  /** Texts that wait, those that are being prepared included. */
  get waiting(): number {
    return this.#queue.size + this.#preparing;
  }

  /**
   * Whether so many texts more would be taken.
   * @throws OVERLOADED if not
   */
  expectRoom(texts: number): void {
    const { maxQueueTexts } = this.#options;
    const waiting = this.waiting;
    if (waiting + texts <= maxQueueTexts) return;
    const seconds = Math.ceil(this.#queue.tokens / this.#rate);
    throw new Overloaded(waiting, maxQueueTexts, Math.max(1, Math.min(mostRetrySeconds, seconds)));
  }

  /**
   * Answers to all texts of a request, in their order; they may run in several parts.
   * @param texts how many there are: they have their places in the queue while they are prepared
   * @param prepare makes them ready to run
   * @throws OVERLOADED at once if the queue has no room for all of them; DEADLINE_EXCEEDED; what preparing or the run
   *   throws; the signal's reason
   */
  async submit(
    texts: number,
    prepare: (signal: AbortSignal) => Promise<readonly I[]>,
    { signal, timeoutMs }: SubmitOptions = {},
  ): Promise<Answered<A>> {
    signal?.throwIfAborted();
    this.expectRoom(texts);
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(() => stop.abort(tooLate(timeoutMs)), timeoutMs);
    try {
      const begun = performance.now();
      const items = await this.#prepared(texts, prepare, stop.signal);
      const arrived = performance.now();
      this.#preparing -= texts;
      const { answers, started } = await this.#queued(items, stop.signal);
      return {
        answers,
        prepareSeconds: (arrived - begun) / 1000,
        queueSeconds: (started - arrived) / 1000,
        runSeconds: (performance.now() - started) / 1000,
      };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Prepares texts. Who goes meanwhile is let go at once; what comes out for them later is dropped. */
  async #prepared(
    texts: number,
    prepare: (signal: AbortSignal) => Promise<readonly I[]>,
    signal: AbortSignal,
  ): Promise<readonly I[]> {
    this.#preparing += texts;
    const leave = (): void => {
      this.#preparing -= texts;
      this.#tellIdle();
    };
    const work = prepare(signal).then(
      (items) => {
        // Else the texts keep their places until they are queued.
        if (!signal.aborted) return items;
        this.#drop(items);
        leave();
        throw signal.reason;
      },
      (error: unknown) => {
        leave();
        throw error;
      },
    );
    work.catch(() => {});
    let onAbort: (() => void) | undefined;
    const gone = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      return await Promise.race([work, gone]);
    } finally {
      signal.removeEventListener("abort", onAbort!);
    }
  }

  async #queued(items: readonly I[], signal: AbortSignal): Promise<Pick<Request<A>, "answers" | "started">> {
    if (signal.aborted || items.length === 0) {
      this.#drop(items);
      this.#tellIdle();
      signal.throwIfAborted();
      return { answers: [], started: performance.now() };
    }
    return await new Promise<Request<A>>((resolve, reject) => {
      const onAbort = (): void => request.settle({ error: signal.reason });
      const request: Request<A> = {
        answers: new Array<A>(items.length),
        open: items.length,
        started: Number.NaN,
        isSettled: false,
        settle: (failure) => {
          if (request.isSettled) return;
          request.isSettled = true;
          signal.removeEventListener("abort", onAbort);
          if (failure === undefined) return resolve(request);
          const left = this.#queue.remove((entry) => entry.request === request);
          this.#drop(left.map(({ item }) => item));
          this.#tellIdle();
          reject(failure.error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      for (const [index, item] of items.entries()) {
        const { adapter, tokens } = item;
        this.#queue.push({ adapter, tokens, item, request, index });
      }
      this.#wake();
    });
  }

  #drop(items: readonly I[]): void {
    for (const item of items) this.#options.drop?.(item);
  }

  /** Resolves when nothing waits or runs. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle.push(resolve);
      this.#tellIdle();
    });
  }

  #wake(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { maxBatchDelayMs = 0 } = this.#options;
    // What arrives in the same turn of the event loop goes along.
    if (maxBatchDelayMs > 0) setTimeout(() => void this.#work(), maxBatchDelayMs);
    else setImmediate(() => void this.#work());
  }

  /** Takes and runs until nothing waits. */
  async #work(): Promise<void> {
    while (this.#queue.size > 0) {
      const batch = this.#queue.take(this.#options.maxBatchTokens);
      const begun = performance.now();
      for (const { request } of batch) {
        if (Number.isNaN(request.started)) request.started = begun;
      }
      const failed = await this.#run(batch);
      this.#tell(batch, (performance.now() - begun) / 1000, failed);
    }
    this.#isRunning = false;
    this.#tellIdle();
  }

  /** Runs a batch. What fails together is tried again adapter by adapter: none is to blame for another. */
  async #run(batch: readonly Entry<I, A>[]): Promise<boolean> {
    try {
      const answers = await this.#options.run(batch.map(({ item }) => item));
      for (const [i, entry] of batch.entries()) give(entry, answers[i]!);
      return false;
    } catch (error) {
      const parts = groupByAdapter(batch);
      if (parts.size === 1) for (const { request } of batch) request.settle({ error });
      else {
        for (const part of parts.values()) {
          const present = part.filter(({ request }) => !request.isSettled);
          if (present.length > 0) await this.#run(present);
        }
      }
      return true;
    }
  }

  #tell(batch: readonly Entry<I, A>[], seconds: number, failed: boolean): void {
    const tokens = batch.reduce((sum, entry) => sum + entry.tokens, 0);
    if (!failed && seconds > 0) this.#rate += rateWeight * (tokens / seconds - this.#rate);
    const facts: BatchFacts = {
      texts: batch.length,
      tokens,
      adapters: new Set(batch.map(({ adapter }) => adapter)).size,
      seconds,
      reason: this.#queue.size > 0 ? "budget" : "all",
      failed,
    };
    this.#options.onBatch?.(
      facts,
      batch.map(({ item }) => item),
    );
  }

  #tellIdle(): void {
    if (this.#isRunning || this.waiting > 0) return;
    for (const tell of this.#onIdle.splice(0)) tell();
  }
}

function groupByAdapter<E extends Costed>(batch: readonly E[]): Map<string, E[]> {
  const parts = new Map<string, E[]>();
  for (const entry of batch) {
    const part = parts.get(entry.adapter);
    if (part === undefined) parts.set(entry.adapter, [entry]);
    else part.push(entry);
  }
  return parts;
}

function give<I extends Costed, A>({ request, index }: Entry<I, A>, answer: A): void {
  request.answers[index] = answer;
  request.open--;
  if (request.open === 0) request.settle();
}

function tooLate(timeoutMs: number): PtuningError {
  return new PtuningError(
    "DEADLINE_EXCEEDED",
    `request: expected an answer within ${timeoutMs / 1000} s, got none.`,
    { hint: "Send fewer texts at a time, or start the server with a longer --timeout." },
  );
}
