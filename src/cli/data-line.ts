import { type CompleteConfig, firstPath, readOptions } from "../config/index.ts";
import { type Dataset, type FormatName, formats, type ReadOptions, usualDevShare } from "../data/index.ts";
import { formatCount } from "../report/index.ts";
import { familyOf } from "../tasks/index.ts";
import { smallData } from "../train/index.ts";
import { note, printJson } from "./terminal.ts";

/** What of a data set's reading is worth a line: the columns of an example and how they are read. */
const columnKeys = [
  ...(["text", "label", "labels", "labelPattern", "score", "choices", "group", "tokens", "tags"] as const),
  ...(["predicate", "question", "context", "answers", "id"] as const),
] satisfies readonly (keyof ReadOptions)[];

const delimiterNames: Readonly<Record<string, string>> = {
  ",": "commas",
  "\t": "tabs",
  ";": "semicolons",
  "|": "bars",
};

/**
 * Says in one line what was taken for what in the data of a run: a note in words, or an event.
 * @param task its name, where there are several
 */
export function tellData(config: CompleteConfig, data: Dataset<unknown>, asJson: boolean, task = ""): void {
  const { train, dev, test, labels, source, table = {} } = data;
  const reading = { ...readOptions(config.data), ...table } as ReadOptions;
  const format = (source?.format ?? reading.format) as FormatName | undefined;
  const isTable = format !== undefined && formats[format].rows !== undefined;
  const header = format !== undefined && formats[format].hasHeader ? (reading.header ?? true) : undefined;
  const columns = Object.fromEntries(
    columnKeys.flatMap((key) => (reading[key] === undefined ? [] : [[key, reading[key]]])),
  );
  const { labelSeparator, choiceLabels, delimiter = source?.delimiter } = reading;
  const examples = { train: train.length, dev: dev.length, test: test.length };
  const path = source?.path ?? firstPath(config.data);
  const isWhole = config.data.devShare === undefined && dev.length === 0;
  if (asJson) {
    printJson({
      type: "data",
      ...(task && { task }),
      path,
      taskType: config.task.type,
      kind: familyOf(config.task.type).reads,
      ...(format && { format }),
      ...(delimiter && { delimiter }),
      ...(header !== undefined && { header }),
      columns,
      ...(labelSeparator && { labelSeparator }),
      ...(choiceLabels && { choiceLabels }),
      labels: labels.length,
      examples,
      ...(isWhole && { leftOut: true }),
    });
    return;
  }
  const said = [
    [
      format === undefined ? "" : formats[format].title,
      delimiter && `separated by ${delimiterNames[delimiter] ?? `"${delimiter}"`}`,
      header === undefined ? "" : `${header ? "with" : "without"} a header`,
    ]
      .filter(Boolean)
      .join(" "),
    ...Object.entries(columns).map(([key, value]) =>
      key === "labelPattern" ? `labels by the pattern ${value}` : `${key} from ${namesOf(value)}`,
    ),
    choiceLabels && `labels are ${choiceTitles[choiceLabels]}`,
    labelSeparator && `labels separated by "${labelSeparator}"`,
    labels.length > 0 && `${formatCount(labels.length)} labels`,
    `${formatCount(train.length)} + ${formatCount(dev.length)}${test.length > 0 ? ` + ${formatCount(test.length)}` : ""} examples`,
  ].filter(Boolean);
  const change = isTable ? " (other columns: --text, --label or --set data.KEY=COLUMN)" : "";
  note(`data: ${task && `${task}: `}${path}: ${config.task.type}; ${said.join("; ")}${change}`);
  if (isWhole) note(wholeText);
}

/** What is done with small data. */
const wholeText =
  `data: fewer than ${smallData} examples, so none are held back for a dev set: all are trained on, and rows that three short runs ` +
  `leave out in turns choose what a dev set would (data.devShare: ${usualDevShare} holds some back)`;

/** Columns by name, or by number. */
function namesOf(value: unknown): string {
  const names = [value].flat().map((one) => (typeof one === "number" ? `column ${one}` : String(one)));
  return names.join(" + ");
}

const choiceTitles: Readonly<Record<NonNullable<ReadOptions["choiceLabels"]>, string>> = {
  "from-0": "numbers from 0",
  "from-1": "numbers from 1",
  columns: "names of columns",
  letters: "letters",
  texts: "texts of choices",
};
