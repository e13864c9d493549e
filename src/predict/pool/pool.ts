import type { AdapterSource } from "../../adapters/index.ts";
import type { Precision } from "../../backbones/portable.ts";
import type { Task } from "../../tasks/index.ts";

/** How a pool computes, and how much it holds. */
export interface PredictorPoolOptions {
  /** Of the frozen linear layers. Default `auto`: int8 where the engine is good at it. */
  readonly precision?: Precision;
  /**
   * Bytes of adapters at most, those that are pinned or answer just now not counted out: who was used least recently goes
   * first, and is read again from its source when it is asked. Default: no limit.
   */
  readonly maxBytes?: number;
  /** Ends the set-up with its reason. */
  readonly signal?: AbortSignal;
}

/** How an adapter is held. */
export interface AddOptions {
  /** Stays whatever the budget says. Default false. */
  readonly pinned?: boolean;
  /** Read when it is first asked, and not before. Default false. */
  readonly lazy?: boolean;
}

/** One task of an adapter in a pool. */
export interface PooledTask {
  /** How requests name it: `rte`, or `both:ner` where the adapter has several tasks. */
  readonly name: string;
  readonly task: Task;
  /** Its labels or tags; none where it has none. */
  readonly labels: readonly string[];
  /** Greatest number of tokens per sequence. */
  readonly maxLength: number;
}

/** An adapter in a pool, as it is at the moment of asking. */
export interface PooledAdapter {
  readonly name: string;
  /** `ready`: in memory; `unloaded`: read when it is asked; `failed`: {@link error} says why it cannot be. */
  readonly state: "ready" | "unloaded" | "failed";
  /** Its tasks; none before it was first read. */
  readonly tasks: readonly PooledTask[];
  /** Name of its method; absent before it was first read. */
  readonly method?: string;
  /** What identifies its content; absent before it was first read. */
  readonly fingerprint?: string;
  /** Of its tensors in memory; 0 where it is not in memory. Tensors that are another's as well count for both. */
  readonly bytes: number;
  readonly pinned: boolean;
  /** What the user should know of how it fits the backbone. */
  readonly warnings: readonly string[];
  /** Why it cannot be read, or could not be replaced when that was last tried. */
  readonly error?: Error;
}

/** One example, tokenised for its adapter and not yet answered. It keeps its adapter as it is until it is run or disposed. */
export interface PreparedItem extends Disposable {
  /** As it was asked for: `rte`, `both:ner`. */
  readonly adapter: string;
  /** Sequences that it takes: windows of a long text, alternatives of a choice. */
  readonly sequences: number;
  /** Its tokens, prompts not counted. */
  readonly tokens: number;
  /** Rows and columns that the engine computes for it: padding and prompts included. */
  readonly paddedTokens: number;
  /** Whether something of it was cut to the greatest length and is not seen. */
  readonly truncated: boolean;
}

/** What is asked of a pool. */
export interface PoolRequest {
  /** `rte`, or `both:ner`. */
  readonly adapter: string;
  /** As its task reads it. */
  readonly example: unknown;
}

/** Ends work with its reason. */
export interface StopOptions {
  readonly signal?: AbortSignal;
}

/** Many adapters on one backbone. */
export interface PredictorPool extends AsyncDisposable {
  /**
   * Reads an adapter and puts it in the place of one of the same name, as a whole: requests that are under way end with the
   * old one. Where that fails, the old one stays; where there is none, it is listed with the reason.
   * @param name letters, digits and `. _ - /`, at most 256
   * @throws ADAPTER_INVALID, ADAPTER_INCOMPATIBLE naming the adapter; OPTION_INVALID about its name
   */
  add(name: string, source: AdapterSource, options?: AddOptions & StopOptions): Promise<PooledAdapter>;
  /** Takes an adapter out; what is under way ends first. @returns whether there was one */
  remove(name: string): Promise<boolean>;
  /** @param name of an adapter, or of one of its tasks: `both:ner` */
  get(name: string): PooledAdapter | undefined;
  /** Every adapter, in the order of their names. */
  list(): readonly PooledAdapter[];
  /**
   * Tokenises one example, and reads its adapter first where that is not in memory.
   * @throws ADAPTER_UNKNOWN if there is none of this name, or it has several tasks and none is named; DATA_INVALID if the
   *   example does not fit the task; whatever the adapter could not be read for
   */
  prepare(name: string, example: unknown, options?: StopOptions): Promise<PreparedItem>;
  /**
   * Answers examples of any adapters together: what comes out for one does not depend on the others, to the bit.
   * @returns one prediction each, in their order, as the predictor of its adapter alone gives it
   */
  run(items: readonly PreparedItem[], options?: StopOptions): Promise<unknown[]>;
  /** Prepares and runs. Examples of one adapter whose task compares them are compared. */
  predict(requests: readonly PoolRequest[], options?: StopOptions): Promise<unknown[]>;
  /** Frees everything once what is under way has ended; the backbone stays. */
  close(): Promise<void>;
}
