import type { Adapter } from "../../adapters/index.ts";
import type { Precision } from "../../backbones/index.ts";
import { PtuningError } from "../../core/index.ts";
import type { DataRecord } from "../../data/index.ts";
import { createPredictor } from "../../predict/index.ts";
import { formatCount } from "../../report/index.ts";
import { loadAdapterAndBackbone } from "../adapter-folder.ts";
import { type AskedFlags, whatIsAsked } from "../predict-input.ts";
import { answerWriters, type OutputFormat } from "../predict-output.ts";
import { stopping } from "../stop.ts";
import { cutMessage, progressLine, warn } from "../terminal.ts";

interface PredictFlags extends AskedFlags {
  readonly format?: OutputFormat;
  readonly raw?: boolean;
  readonly probabilities?: boolean;
  readonly head?: string;
  readonly backbone?: string;
  readonly threads?: string;
  readonly precision?: Precision;
  readonly json?: boolean;
}

export async function predictCommand(
  path: string,
  texts: readonly string[],
  flags: PredictFlags,
): Promise<void> {
  if (flags.pair !== undefined && texts.length !== 1) {
    throw new PtuningError("OPTION_INVALID", `--pair: expected one text beside it, got ${texts.length}.`);
  }
  const format = flags.json ? "jsonl" : (flags.format ?? "table");
  if (flags.raw && format !== "csv" && format !== "tsv") {
    throw new PtuningError("OPTION_INVALID", `--raw: expected --format csv or tsv beside it, got ${format}.`);
  }
  const { adapter, backbone } = await loadAdapterAndBackbone(path, flags);
  try {
    const asked = await whatIsAsked(adapter, texts, flags);
    const { precision } = flags;
    const { signal } = stopping;
    const predictor = await createPredictor(adapter, backbone, { signal, ...(precision && { precision }) });
    const writer = answerWriters[format]({
      task: adapter.task,
      detailed: flags.probabilities === true,
      raw: flags.raw === true,
    });
    // Each record comes back once, in its place.
    const waiting: DataRecord<unknown>[] = [];
    async function* examples(): AsyncGenerator<unknown> {
      for await (const record of asked.records) {
        waiting.push(record);
        yield record.example;
      }
    }
    const tally = new Tally(adapter);
    for await (const { prediction, truncated } of predictor.stream(examples(), { signal })) {
      const record = waiting.shift()!;
      await writer.write({ record, prediction, truncated });
      tally.add(record, truncated);
    }
    await writer.end();
    for (const warning of asked.warnings()) warn(warning);
    tally.tell();
  } finally {
    await backbone.close();
  }
}

/** Records without an answer that are named. */
const namedRecords = 3;

/** Counts what was not answered, or not seen as a whole. */
class Tally {
  readonly #maxLength: number;
  #records = 0;
  #cut = 0;
  #unanswered = 0;
  readonly #named: string[] = [];

  constructor({ maxLength }: Adapter) {
    this.#maxLength = maxLength;
  }

  add({ row, problem }: DataRecord<unknown>, truncated: boolean): void {
    this.#records++;
    // Beside answers in the same terminal it would be in the way.
    if (!process.stdout.isTTY) progressLine.update(`${formatCount(this.#records)} answered`);
    if (truncated) this.#cut++;
    if (problem === undefined) return;
    this.#unanswered++;
    if (this.#named.length < namedRecords) this.#named.push(`row ${row}: ${problem.replace(/\.$/, "")}`);
  }

  /** @throws DATA_INVALID if there was nothing at all */
  tell(): void {
    progressLine.clear();
    const all = formatCount(this.#records);
    if (this.#records === 0) throw new PtuningError("DATA_INVALID", "predict: expected texts, got none.");
    if (this.#unanswered > 0) {
      const more = this.#unanswered > this.#named.length ? "; …" : "";
      const rows = `${formatCount(this.#unanswered)} of ${all} ${this.#records === 1 ? "row" : "rows"}`;
      warn(`${rows} without an answer: ${this.#named.join("; ")}${more}.`);
    }
    if (this.#cut > 0) warn(cutMessage(this.#cut, this.#records, this.#maxLength));
  }
}
