import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { BatchFacts } from "./scheduler.ts";

/** What gauges are read from when they are asked. */
export interface Gauged {
  readonly queueTexts: () => number;
  /** Adapters in memory, and their bytes. */
  readonly loaded: () => { readonly count: number; readonly bytes: number };
}

/** One answered request for predictions. */
export interface MeasuredRequest {
  /** Empty where none is of this server. */
  readonly model: string;
  readonly task: string;
  readonly code: number;
  readonly texts: number;
  readonly seconds: number;
  readonly tokenizationSeconds: number;
  /** Absent where it never got into the queue. */
  readonly queueSeconds?: number;
  readonly inferenceSeconds?: number;
}

const durations = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const powers = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** What Prometheus reads: names begin with `ptuning_`, in base units. */
export class ServeMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter;
  readonly #texts: Counter;
  readonly #loads: Counter;
  readonly #durations: Readonly<Record<"request" | "queue" | "tokenization" | "inference", Histogram>>;
  readonly #batch: Readonly<Record<"texts" | "tokens" | "adapters", Histogram>>;
  readonly #padding: Histogram;
  readonly #batches: Counter;
  readonly #perAdapter: boolean;

  /** @param perAdapter histograms by adapter too: a dozen series for each */
  constructor({ queueTexts, loaded }: Gauged, perAdapter: boolean) {
    const registers = [this.#registry];
    this.#perAdapter = perAdapter;
    const counter = (name: string, help: string, ...labelNames: string[]): Counter =>
      new Counter({ name: `ptuning_${name}`, help, labelNames, registers });
    const histogram = (name: string, help: string, buckets: number[], ...labelNames: string[]): Histogram =>
      new Histogram({ name: `ptuning_${name}`, help, buckets, labelNames, registers });
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({
        name: `ptuning_${name}`,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    };
    this.#requests = counter("requests_total", "Requests for predictions.", "model", "task", "code");
    this.#texts = counter("texts_total", "Texts that were answered.");
    this.#loads = counter("adapter_loads_total", "Adapters that were read, or could not be.", "result");
    this.#batches = counter("batches_total", "Runs of the engine, by why they were no larger.", "reason");
    const duration = (name: string, help: string): Histogram =>
      histogram(`${name}_duration_seconds`, help, durations, ...(perAdapter ? ["model"] : []));
    this.#durations = {
      request: duration("request", "From the first byte to the answer."),
      queue: duration("queue", "Until the engine took the first text of a request."),
      tokenization: duration("tokenization", "Reading and tokenising a request."),
      inference: duration("inference", "From then until its last text was answered."),
    };
    this.#batch = {
      texts: histogram("batch_texts", "Texts of a run.", powers),
      tokens: histogram(
        "batch_tokens",
        "Tokens of a run, padding included.",
        powers.map((power) => power * 32),
      ),
      adapters: histogram("batch_adapters", "Adapters of a run.", powers),
    };
    this.#padding = histogram(
      "batch_padding_ratio",
      "Share of a run's tokens that are padding or prompt.",
      [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
    );
    gauge("queue_texts", "Texts that wait.", queueTexts);
    gauge("adapters_loaded", "Adapters in memory.", () => loaded().count);
    gauge("adapter_bytes", "Bytes of adapters in memory.", () => loaded().bytes);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text that Prometheus reads. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  request(measured: MeasuredRequest): void {
    const { model, task, code, texts, seconds } = measured;
    this.#requests.inc({ model, task, code: String(code) });
    if (code === 200) this.#texts.inc(texts);
    const labels = this.#perAdapter ? { model } : {};
    this.#durations.request.observe(labels, seconds);
    this.#durations.tokenization.observe(labels, measured.tokenizationSeconds);
    if (measured.queueSeconds !== undefined) this.#durations.queue.observe(labels, measured.queueSeconds);
    if (measured.inferenceSeconds !== undefined) {
      this.#durations.inference.observe(labels, measured.inferenceSeconds);
    }
  }

  /** @param ownTokens those of its texts, without padding and prompts */
  batch({ texts, tokens, adapters, reason }: BatchFacts, ownTokens: number): void {
    this.#batch.texts.observe(texts);
    this.#batch.tokens.observe(tokens);
    this.#batch.adapters.observe(adapters);
    if (tokens > 0) this.#padding.observe(1 - ownTokens / tokens);
    this.#batches.inc({ reason });
  }

  load(result: "ok" | "failed"): void {
    this.#loads.inc({ result });
  }
}
