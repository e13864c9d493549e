import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { confirm, intro, isCancel, outro, select } from "@clack/prompts";
import { commentedConfig, completeConfig, configDefaults, parseConfig } from "../../config/index.ts";
import { escapeControls, PtuningError } from "../../core/index.ts";
import { type Column, formats, type Guess, guessReading, type ReadOptions } from "../../data/index.ts";
import { writeFileAtomic } from "../../files/index.ts";
import { familyOf } from "../../tasks/index.ts";
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
  const guess = await guessReading(dataPath);
  const isInteractive = process.stdin.isTTY && process.stdout.isTTY && !flags.yes;
  const options = isInteractive ? await ask(dataPath, guess) : guess.options;
  if (options === undefined) {
    process.exitCode = exitCodes.interrupted;
    return;
  }
  const given = { train: dataPath, ...options };
  const { task } = await completeConfig(
    parseConfig({ text: JSON.stringify({ data: given }), where: dataPath }),
  );
  const sections = { backbone: "minilm", data: given, task: { type: task.type } };
  await writeFileAtomic(flags.output, commentedConfig(sections, configDefaults(task.type)));
  print(`${basename(dataPath)}: ${describe(options) || guess.kind} (${describeFile(guess)})`);
  print(`Task: ${task.type}, ${familyOf(task.type).title}`);
  if (guess.labels.length > 0) {
    const labels = guess.labels.slice(0, 12).map(escapeControls).join(", ");
    print(
      `${guess.labels.length} labels in ${guess.rows} rows: ${labels}${guess.labels.length > 12 ? ", …" : ""}`,
    );
  }
  print(`Wrote ${flags.output}. Next: ptuning train ${flags.output}`);
}

/** The file in words: `CSV separated by ";", with a header`. */
function describeFile({ format, delimiter, options }: Guess): string {
  const separated = delimiter === undefined ? "" : ` separated by ${JSON.stringify(delimiter)}`;
  const header = options.header === undefined ? "" : `, ${options.header ? "with" : "without"} a header`;
  return `${formats[format].title}${separated}${header}`;
}

/** Columns in words: `text premise + hypothesis, label label`. */
function describe(options: ReadOptions): string {
  const { format, header, ...columns } = options;
  return Object.entries(columns)
    .map(([name, value]) => `${name} ${[value].flat().join(" + ")}`)
    .join(", ");
}

/** Shows the guesses and lets the user change the columns of texts; `undefined` where they cancel. */
async function ask(
  path: string,
  { kind, format, options, columns }: Guess,
): Promise<ReadOptions | undefined> {
  intro(`${path}: ${format}${columns.length > 0 ? `, columns ${columns.join(", ")}` : ""}`);
  const right = await confirm({
    message: `It holds ${kind}: ${describe(options) || format}. Is that right?`,
  });
  if (isCancel(right)) return undefined;
  if (right || kind !== "text" || columns.length === 0) return options;
  const choices = columns.map((name) => ({ value: name, label: name }));
  // Without a header columns are numbers.
  const column = (name: string): Column => (options.header === false ? Number(name) : name);
  const text = await select({ message: "Which column holds the text?", options: choices });
  if (isCancel(text)) return undefined;
  const others = choices.filter(({ value }) => value !== text);
  const pair = await select({
    message: "Is there a second text (for pairs)?",
    options: [{ value: "", label: "no" }, ...others],
  });
  if (isCancel(pair)) return undefined;
  const label = await select({ message: "Which column holds the label?", options: others });
  if (isCancel(label)) return undefined;
  outro("Thank you.");
  const { header } = options;
  return {
    format,
    ...(header !== undefined && { header }),
    text: pair === "" ? column(text) : [column(text), column(pair)],
    label: column(label),
  };
}
