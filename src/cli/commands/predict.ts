import { createInterface } from "node:readline";
import { stringify } from "csv-stringify/sync";
import type { Precision } from "../../backbones/index.ts";
import { escapeControls, PtuningError } from "../../core/index.ts";
import { readExamples } from "../../data/index.ts";
import { createPredictor } from "../../predict/index.ts";
import { textTable } from "../../report/index.ts";
import type { TableRow, Task } from "../../tasks/index.ts";
import { loadAdapterAndBackbone } from "../adapter-folder.ts";
import { bar, print, printJson, progressLine, warn } from "../terminal.ts";
import { readingFor } from "../training-columns.ts";

interface PredictFlags {
  readonly input?: string;
  readonly text?: string;
  readonly pair?: string;
  readonly format?: "table" | "jsonl" | "csv";
  readonly probabilities?: boolean;
  readonly head?: string;
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
    const { task } = adapter;
    let examples: readonly unknown[];
    if (flags.input !== undefined) {
      const file = await readExamples(flags.input, await readingFor(adapter, flags.input, flags, false));
      for (const warning of file.warnings) warn(warning);
      examples = file.examples;
    } else {
      const makeExample = exampleMaker(task);
      const given = texts.length > 0 ? texts : await standardInput();
      examples = given.map((text) => makeExample(text, flags.pair));
    }
    if (examples.length === 0) throw new PtuningError("DATA_INVALID", "predict: expected texts, got none.");
    const predictor = await createPredictor(
      adapter,
      backbone,
      flags.precision ? { precision: flags.precision } : {},
    );
    const predictions = await predictor.predict(examples, {
      onProgress: (done) => progressLine.update(`${bar(done, 1)} ${Math.round(100 * done)} %`),
    });
    progressLine.clear();
    const format = flags.json ? "jsonl" : (flags.format ?? "table");
    const detailed = flags.probabilities === true;
    outputs[format]({
      predictions,
      examples,
      rows: examples.flatMap((example, i) => task.tabulate(example, predictions[i], detailed)),
    });
  } finally {
    await backbone.close();
  }
}

/** @throws OPTION_INVALID if an example of the task is more than a text */
function exampleMaker({ type, fromText }: Task): NonNullable<Task["fromText"]> {
  if (fromText !== undefined) return fromText;
  throw new PtuningError(
    "OPTION_INVALID",
    `predict: expected --input, as a text alone is no ${type} example.`,
    {
      hint: "Give a file in the form of the training data; labels may be missing.",
    },
  );
}

async function standardInput(): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of createInterface({ input: process.stdin }))
    if (text.trim() !== "") texts.push(text);
  return texts;
}

interface Predicted {
  readonly examples: readonly unknown[];
  readonly predictions: readonly unknown[];
  /** The predictions as lines of a table. */
  readonly rows: readonly TableRow[];
}

/** The titles of all rows, in the order in which they first occur. */
function titlesOf(rows: readonly TableRow[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

const outputs: {
  readonly [F in NonNullable<PredictFlags["format"]>]: (predicted: Predicted) => void;
} = {
  table({ rows }) {
    const titles = titlesOf(rows);
    const hasNumbers = (title: string): boolean => rows.some((row) => typeof row[title] === "number");
    const columns = titles.map((title) => ({ title, ...(hasNumbers(title) && { digits: 4 }) }));
    const cell = (value: string | number | undefined): string | number =>
      typeof value === "number" ? value : shorten(escapeControls(value ?? ""));
    print(
      textTable(
        columns,
        rows.map((row) => titles.map((title) => cell(row[title]))),
      ),
    );
  },
  jsonl({ examples, predictions }) {
    for (const [i, prediction] of predictions.entries()) {
      const { line, ...example } = examples[i] as { line?: number };
      printJson({ ...example, ...(prediction as object) });
    }
  },
  csv({ rows }) {
    const titles = titlesOf(rows);
    process.stdout.write(stringify([titles, ...rows.map((row) => titles.map((title) => row[title] ?? ""))]));
  },
};

function shorten(text: string): string {
  const characters = [...text];
  return characters.length > shownCharacters ? `${characters.slice(0, shownCharacters - 1).join("")}…` : text;
}
