import { createInterface } from "node:readline";
import { stringify } from "csv-stringify/sync";
import type { Precision } from "../../backbones/index.ts";
import { PtuningError } from "../../core/index.ts";
import { readExamples, type TextExample } from "../../data/index.ts";
import { createPredictor } from "../../predict/index.ts";
import { escapeControls, textTable } from "../../report/index.ts";
import type { TextPrediction } from "../../tasks/index.ts";
import { loadAdapterAndBackbone } from "../adapter-folder.ts";
import { bar, print, progressLine, warn } from "../terminal.ts";
import { columnsFor } from "../training-columns.ts";

interface PredictFlags {
  readonly input?: string;
  readonly text?: string;
  readonly pair?: string;
  readonly format?: "table" | "jsonl" | "csv";
  readonly probabilities?: boolean;
  readonly backbone?: string;
  readonly threads?: string;
  readonly precision?: Precision;
  readonly json?: boolean;
}

/** A table cell shows this much of a text. */
const shownCharacters = 60;

export async function predictCommand(
  path: string,
  texts: readonly string[],
  flags: PredictFlags,
): Promise<void> {
  if (flags.pair !== undefined && texts.length !== 1) {
    throw new PtuningError("OPTION_INVALID", `--pair: expected one text beside it, got ${texts.length}.`);
  }
  const { adapter, backbone } = await loadAdapterAndBackbone(path, flags);
  try {
    let examples: readonly TextExample[];
    if (flags.input !== undefined) {
      const file = await readExamples(flags.input, await columnsFor(adapter, flags.input, flags, false));
      for (const warning of file.warnings) warn(warning);
      examples = file.examples;
    } else if (texts.length > 0) {
      examples = texts.map((text) => ({ text, ...(flags.pair !== undefined && { pair: flags.pair }) }));
    } else examples = await standardInput();
    if (examples.length === 0) throw new PtuningError("DATA_INVALID", "predict: expected texts, got none.");
    const predictor = await createPredictor<TextExample, TextPrediction>(
      adapter,
      backbone,
      flags.precision ? { precision: flags.precision } : {},
    );
    const predictions = await predictor.predict(examples, (done) =>
      progressLine.update(`${bar(done, examples.length)} ${done}/${examples.length}`),
    );
    progressLine.clear();
    const format = flags.json ? "jsonl" : (flags.format ?? "table");
    outputs[format](examples, predictions, flags.probabilities === true);
  } finally {
    await backbone.close();
  }
}

async function standardInput(): Promise<TextExample[]> {
  const examples: TextExample[] = [];
  for await (const text of createInterface({ input: process.stdin }))
    if (text.trim() !== "") examples.push({ text });
  return examples;
}

type Output = (
  examples: readonly TextExample[],
  predictions: readonly TextPrediction[],
  probabilities: boolean,
) => void;

const outputs: { readonly [F in NonNullable<PredictFlags["format"]>]: Output } = {
  table(examples, predictions, probabilities) {
    const labels = probabilities ? Object.keys(predictions[0]!.probabilities) : [];
    const columns = [
      { title: "label" },
      { title: "score", digits: 4 },
      ...labels.map((title) => ({ title, digits: 4 })),
      { title: "text" },
    ];
    const rows = predictions.map((prediction, i) => [
      escapeControls(prediction.label),
      prediction.score,
      ...labels.map((label) => prediction.probabilities[label]!),
      shorten(escapeControls([examples[i]!.text, examples[i]!.pair].filter(Boolean).join(" | "))),
    ]);
    print(textTable(columns, rows));
  },
  jsonl(examples, predictions, probabilities) {
    for (const [i, { label, score, probabilities: all }] of predictions.entries()) {
      const { text, pair } = examples[i]!;
      print(
        JSON.stringify({
          text,
          ...(pair !== undefined && { pair }),
          label,
          score,
          ...(probabilities && { probabilities: all }),
        }),
      );
    }
  },
  csv(examples, predictions, probabilities) {
    const labels = probabilities ? Object.keys(predictions[0]!.probabilities) : [];
    const hasPairs = examples.some(({ pair }) => pair !== undefined);
    const header = ["text", ...(hasPairs ? ["pair"] : []), "label", "score", ...labels];
    const rows = predictions.map(({ label, score, probabilities: all }, i) => {
      const { text, pair = "" } = examples[i]!;
      return [text, ...(hasPairs ? [pair] : []), label, score, ...labels.map((name) => all[name]!)];
    });
    process.stdout.write(stringify([header, ...rows]));
  },
};

function shorten(text: string): string {
  const characters = [...text];
  return characters.length > shownCharacters ? `${characters.slice(0, shownCharacters - 1).join("")}…` : text;
}
