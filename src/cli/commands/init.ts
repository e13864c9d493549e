import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { confirm, intro, isCancel, outro, select } from "@clack/prompts";
import { commentedConfig, configDefaults } from "../../config/index.ts";
import { PtuningError } from "../../core/index.ts";
import { type Column, type Guess, guessTable } from "../../data/index.ts";
import { writeFileAtomic } from "../../files/index.ts";
import { escapeControls } from "../../report/index.ts";
import { exitCodes } from "../exit.ts";
import { print } from "../terminal.ts";

interface InitFlags {
  readonly output: string;
  readonly overwrite?: boolean;
  readonly yes?: boolean;
}

export async function init(dataPath: string, flags: InitFlags): Promise<void> {
  const isThere = await stat(flags.output).then(
    () => true,
    () => false,
  );
  if (isThere && !flags.overwrite) {
    throw new PtuningError("OUTPUT_EXISTS", `${flags.output}: expected no file there.`, {
      hint: "Choose another name with --output, or replace it with --overwrite.",
    });
  }
  const guess = await guessTable(dataPath);
  const isInteractive = process.stdin.isTTY && process.stdout.isTTY && !flags.yes;
  const columns = isInteractive ? await ask(dataPath, guess) : chosen(guess);
  if (columns === undefined) {
    process.exitCode = exitCodes.interrupted;
    return;
  }
  if (columns.label === undefined && columns.labelPattern === undefined) {
    throw new PtuningError("DATA_INVALID", `${dataPath}: no column looks like a label.`, {
      hint: `Columns: ${guess.columns.join(", ")}. Write the configuration by hand, or train with --text and --label.`,
    });
  }
  const data = { train: dataPath, ...columns };
  await writeFileAtomic(
    flags.output,
    commentedConfig({ backbone: "minilm", data, task: { type: "text-classification" } }, configDefaults()),
  );
  const text = [columns.text].flat().join(" + ");
  print(`${basename(dataPath)}: text ${text}, label ${columns.label ?? columns.labelPattern}`);
  const labels = guess.labels.slice(0, 12).map(escapeControls).join(", ");
  print(
    `${guess.labels.length} labels in the first ${guess.rows} rows: ${labels}${guess.labels.length > 12 ? ", …" : ""}`,
  );
  print(`Wrote ${flags.output}. Next: ptuning train ${flags.output}`);
}

type Columns = Pick<Guess, "format" | "header" | "text" | "label" | "labelPattern">;

function chosen({ format, header, text, label, labelPattern }: Guess): Columns {
  return {
    format,
    ...(format === "csv" || format === "tsv" ? { header } : {}),
    text: (text.length === 1 ? text[0] : text) as Guess["text"],
    ...(label !== undefined && { label }),
    ...(labelPattern !== undefined && { labelPattern }),
  } as Columns;
}

/** Shows the guesses and lets the user change them; `undefined` where they cancel. */
async function ask(path: string, guess: Guess): Promise<Columns | undefined> {
  intro(`${path}: ${guess.format}, columns ${guess.columns.join(", ")}`);
  const label = guess.label ?? guess.labelPattern ?? "none";
  const right = await confirm({
    message: `Text: ${guess.text.join(" + ")}. Label: ${label}. Is that right?`,
  });
  if (isCancel(right)) return undefined;
  if (right) return chosen(guess);
  const options = guess.columns.map((name) => ({ value: name, label: name }));
  // Without a header columns are numbers.
  const column = (name: string): Column => (guess.header || guess.format === "jsonl" ? name : Number(name));
  const text = await select({ message: "Which column holds the text?", options });
  if (isCancel(text)) return undefined;
  const others = options.filter(({ value }) => value !== text);
  const pair = await select({
    message: "Is there a second text (for pairs)?",
    options: [{ value: "", label: "no" }, ...others],
  });
  if (isCancel(pair)) return undefined;
  const labelColumn = await select({ message: "Which column holds the label?", options: others });
  if (isCancel(labelColumn)) return undefined;
  outro("Thank you.");
  const texts = (pair === "" ? [text] : [text, pair]).map(column) as [Column] | [Column, Column];
  return chosen({ ...guess, text: texts, label: column(labelColumn) });
}
