/**
 * Label Studio's exports. A task has several texts, several controls and several annotations; which text its regions
 * speak of is found out for the whole file, as regions carry the text that they cover.
 */
import { countings, OffsetReader } from "../counting.ts";
import type { TextExample, TokenExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { jsonElements } from "../json-elements.ts";
import { isRecord } from "../lines.ts";
import { rangeOf, saysSame } from "../offset-survey.ts";
import { type Span, type SpanRecord, taggedWords } from "../spans.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What one control says of a task: a region of a text, or choices for the whole. */
interface Result {
  /** The control. */
  readonly from: string;
  /** What it is about, by the name of the configuration of labelling. */
  readonly to: string;
  readonly value: Fields;
  /** It marks a region: also one without a label. */
  readonly isRegion: boolean;
}

/** One task of an export. */
interface StudioTask {
  readonly line: number;
  readonly name: string;
  readonly data: Fields;
  /** Absent: nobody annotated it. */
  readonly results?: readonly Result[];
}

/** Reads one element of an export as a task; `undefined` leaves it out. */
type TaskOf = (value: Fields, line: number, input: FormatInput) => StudioTask | undefined;

const isWhole = (value: unknown): value is number => Number.isInteger(value);

function resultsOf(annotation: Fields, line: number, path: string): Result[] {
  const list: unknown = annotation.result ?? [];
  if (!Array.isArray(list)) throw dataError(path, line, "expected an annotation with a list of results");
  return list.map((one: unknown) => {
    if (!isRecord(one)) throw dataError(path, line, "expected results as objects");
    const value = isRecord(one.value) ? one.value : {};
    return {
      from: String(one.from_name ?? ""),
      to: String(one.to_name ?? ""),
      value,
      isRegion: Array.isArray(value.labels) || one.type === "labels",
    };
  });
}

/** The annotation that counts: the one that is marked as true, else the first that was not cancelled. */
function jsonTask(value: Fields, line: number, input: FormatInput): StudioTask {
  const list: unknown = value.annotations ?? value.completions ?? [];
  const annotations = (Array.isArray(list) ? list : [list]).filter(
    (one): one is Fields => isRecord(one) && one.was_cancelled !== true && one.skipped !== true,
  );
  const chosen = annotations.find((one) => one.ground_truth === true) ?? annotations[0];
  if (annotations.length > 1 && chosen?.ground_truth !== true) {
    input.notice("tasks with several annotations: the first was taken");
  }
  return {
    line,
    name: value.id === undefined ? "task" : `task ${String(value.id)}`,
    data: isRecord(value.data) ? value.data : {},
    ...(chosen && { results: resultsOf(chosen, line, input.path) }),
  };
}

/** JSON-MIN: the task's data and, under the names of the controls, what they say. */
function minTask(value: Fields, line: number): StudioTask {
  const results: Result[] = [];
  let isAnnotated = false;
  for (const [from, said] of Object.entries(value)) {
    if (isRecord(said) && Array.isArray(said.choices)) {
      results.push({ from, to: "", value: said, isRegion: false });
    } else if (Array.isArray(said) && said.every((one) => isRecord(one) && isWhole(one.start))) {
      isAnnotated = true;
      for (const one of said as Fields[]) results.push({ from, to: "", value: one, isRegion: true });
    }
  }
  return {
    line,
    name: value.id === undefined ? "task" : `task ${String(value.id)}`,
    data: value,
    ...((isAnnotated || results.length > 0) && { results }),
  };
}

async function* tasksOf(input: FormatInput, taskOf: TaskOf): AsyncGenerator<StudioTask> {
  for await (const { value, line } of jsonElements(input, ["*"])) {
    try {
      if (!isRecord(value)) throw dataError(input.path, line, "expected a task as an object");
      const task = taskOf(value, line, input);
      if (task !== undefined) yield task;
    } catch (error) {
      input.reject(error);
    }
  }
}

/** The tasks of a look ahead: what is wrong with them is said when they are read. */
async function* tasksAhead(input: FormatInput, taskOf: TaskOf): AsyncGenerator<StudioTask> {
  try {
    yield* tasksOf(input.ahead(), taskOf);
  } catch {
    // Said when the file is read.
  }
}

/** What a file's tasks have in common. */
interface FileFacts {
  /** The field of the text that each thing to be labelled stands for, by its name. */
  readonly fields: ReadonlyMap<string, string>;
  readonly isAnnotated: boolean;
  /** Controls of choices: in how many tasks each says something, and how much at most. */
  readonly controls: ReadonlyMap<string, { tasks: number; most: number }>;
}

interface FieldScore {
  /** Regions whose text it holds at their offsets. */
  texts: number;
  /** Regions that lie inside it. */
  fits: number;
  characters: number;
}

/** Names that Label Studio itself gives to the texts and numbers of a task in JSON-MIN. */
const ownKeys = /^(id|annotator|annotation_id|created_at|updated_at|lead_time)$/;

async function factsOf(input: FormatInput, taskOf: TaskOf): Promise<FileFacts> {
  const scores = new Map<string, Map<string, FieldScore>>();
  const all = new Map<string, FieldScore>();
  const controls = new Map<string, { tasks: number; most: number }>();
  let [isAnnotated, hasChoices] = [false, false];
  const scoreIn = (map: Map<string, FieldScore>, field: string): FieldScore => {
    const score = map.get(field) ?? { texts: 0, fits: 0, characters: 0 };
    map.set(field, score);
    return score;
  };
  for await (const { data, results } of tasksAhead(input, taskOf)) {
    const texts = Object.entries(data).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string" && !ownKeys.test(entry[0]),
    );
    for (const [field, text] of texts) scoreIn(all, field).characters += text.length;
    if (results === undefined) continue;
    isAnnotated = true;
    const chosen = new Map<string, number>();
    for (const { from, to, value, isRegion } of results) {
      if (!isRegion && Array.isArray(value.choices) && value.start === undefined) {
        hasChoices = true;
        chosen.set(from, (chosen.get(from) ?? 0) + value.choices.length);
      }
      const { start, end, text: said } = value;
      if (!isRegion || !isWhole(start) || !isWhole(end)) continue;
      const own = scores.get(to) ?? new Map<string, FieldScore>();
      scores.set(to, own);
      for (const [field, text] of texts) {
        const score = scoreIn(own, field);
        score.characters += text.length;
        if (end <= text.length) score.fits++;
        if (typeof said === "string" && holds(text, start, end, said)) score.texts++;
      }
    }
    for (const [from, count] of chosen) {
      const { tasks, most } = controls.get(from) ?? { tasks: 0, most: 0 };
      controls.set(from, { tasks: tasks + 1, most: Math.max(most, count) });
    }
  }
  const fields = new Map([...scores].map(([to, own]) => [to, bestField(own)] as const));
  if (fields.size === 0 || hasChoices) fields.set("", fields.get("") ?? bestField(all));
  const [first] = fields.values();
  if (all.size > 1 && scores.size === 0 && first !== "text")
    input.note(`the text of a task was taken from "${first}"`);
  return { fields, isAnnotated, controls };
}

function holds(text: string, start: number, end: number, said: string): boolean {
  if (saysSame(text.slice(start, end), said)) return true;
  const reader = new OffsetReader(text);
  if (!reader.isAmbiguous) return false;
  return countings("utf-16").some((counting) => {
    const range = rangeOf(reader, { start, end }, counting);
    return range !== undefined && saysSame(text.slice(...range), said);
  });
}

/** The field that holds the regions' texts; without any, `text` or the longest. */
function bestField(fields: ReadonlyMap<string, FieldScore>): string {
  const isText = (name: string): number => Number(name === "text");
  const [best] = [...fields].toSorted(
    ([a, one], [b, other]) =>
      other.texts - one.texts ||
      other.fits - one.fits ||
      isText(b) - isText(a) ||
      other.characters - one.characters,
  );
  return best?.[0] ?? "text";
}

function textOf(task: StudioTask, field: string, input: FormatInput): string {
  const text = task.data[field];
  if (typeof text === "string") return text;
  throw dataError(input.path, task.line, `${task.name}: expected a text "${field}"`);
}

const unannotated = "tasks without an annotation were left out";

/** Each text of each task with the regions in it. */
function regionRecords(taskOf: TaskOf, facts: FileFacts) {
  return async function* records(input: FormatInput): AsyncGenerator<SpanRecord> {
    for await (const task of tasksOf(input, taskOf)) {
      const { line, name, results } = task;
      const ignoresGold = input.options.gold === false;
      if (results === undefined && facts.isAnnotated && !ignoresGold) {
        input.notice(unannotated);
        continue;
      }
      for (const [to, field] of facts.fields) {
        try {
          // A task may lack one of several texts.
          if (facts.fields.size > 1 && typeof task.data[field] !== "string") continue;
          const text = textOf(task, field, input);
          const spans = ignoresGold
            ? undefined
            : results
                ?.filter((result) => result.isRegion && result.to === to)
                .flatMap(({ value }) => spansOf(value, task, input));
          yield { line, name, text, ...(spans && { spans }) };
        } catch (error) {
          input.reject(error);
        }
      }
    }
  };
}

/** A region `{start, end, labels, text}` as one span for each of its labels. */
function spansOf(value: Fields, { line, name }: StudioTask, input: FormatInput): Span[] {
  const { start, end, labels = [], text } = value;
  if (
    !isWhole(start) ||
    !isWhole(end) ||
    !Array.isArray(labels) ||
    labels.some((label) => typeof label !== "string")
  ) {
    throw dataError(input.path, line, `${name}: expected regions as {start, end, labels: [label]}`);
  }
  if (labels.length === 0) input.notice("regions without a label were left out");
  return labels.map((label: string) => ({
    start,
    end,
    label,
    ...(typeof text === "string" && { text }),
  }));
}

async function* readRegions(input: FormatInput, taskOf: TaskOf): AsyncGenerator<TokenExample> {
  const facts = await factsOf(input, taskOf);
  yield* taggedWords(input, regionRecords(taskOf, facts), ["utf-16"]);
}

/** Texts with what was chosen for them: one label each, or several where any task has several. */
async function* readChoices(input: FormatInput, taskOf: TaskOf): AsyncGenerator<TextExample> {
  const { options } = input;
  const { fields, controls, isAnnotated } = await factsOf(input, taskOf);
  const field = fields.get("") ?? [...fields.values()][0]!;
  const control = options.gold === false ? undefined : chosenControl(input, controls);
  const isMultiple = (controls.get(control ?? "")?.most ?? 1) > 1 || options.labels !== undefined;
  for await (const task of tasksOf(input, taskOf)) {
    try {
      const text = textOf(task, field, input);
      if (text.trim() === "") {
        input.notice("rows with an empty text were left out", "an empty text");
        continue;
      }
      if (options.gold === false || !isAnnotated) {
        yield { text, line: task.line };
        continue;
      }
      const chosen = task.results
        ?.filter(({ from, value }) => from === control && value.start === undefined)
        .flatMap(({ value }) => (Array.isArray(value.choices) ? value.choices.map(String) : []));
      if (chosen === undefined || (chosen.length === 0 && !isMultiple)) input.notice(unannotated);
      else if (isMultiple) yield { text, labels: [...new Set(chosen)], line: task.line };
      else yield { text, label: chosen[0]!, line: task.line };
    } catch (error) {
      input.reject(error);
    }
  }
}

/**
 * The control that holds the label: the one that is named, or the only one.
 * @throws DATA_INVALID if there are several, or none of that name
 */
function chosenControl({ options, path }: FormatInput, controls: FileFacts["controls"]): string | undefined {
  const named = options.label ?? [options.labels].flat()[0];
  const names = [...controls.keys()];
  if (named !== undefined) {
    if (controls.has(String(named))) return String(named);
    throw dataError(path, 1, `expected choices of "${named}", got ${names.join(", ") || "none"}`);
  }
  // What is damaged may have a name of its own.
  if (names.length > 1 && options.damaged === "skip") {
    return [...controls].toSorted(([, a], [, b]) => b.tasks - a.tasks)[0]![0];
  }
  if (names.length <= 1) return names[0];
  throw dataError(path, 1, `expected one control with choices, got ${names.join(", ")}`, {
    hint: `Say which holds the label. data.label: ${names[0]}`,
  });
}

const isList = (start: string): boolean => /^\s*\[\s*\{/.test(start);
const isStudio = (start: string): boolean =>
  isList(start) &&
  /"data"\s*:\s*\{/.test(start) &&
  (/"(annotations|completions|predictions)"\s*:\s*\[/.test(start) ||
    /^\s*\[\s*\{\s*"(id|data)"\s*:/.test(start));
const isStudioMin = (start: string): boolean =>
  isList(start) && !/"(annotations|completions|tokens)"\s*:/.test(start);
const hasChoices = (start: string): boolean => /"choices"\s*:\s*\[/.test(start);
const hasMinChoices = (start: string): boolean => /:\s*\{\s*"choices"\s*:\s*\[/.test(start);
const hasLabels = (start: string): boolean => /"labels"\s*:\s*\[/.test(start);

/** Label Studio's JSON with labelled regions. */
export const labelStudio: Format = {
  title: "Label Studio JSON",
  readers: { tokens: (input) => readRegions(input, jsonTask) },
  fits: ({ start }) => isStudio(start) && (hasLabels(start) || !hasChoices(start)),
};

/** Label Studio's JSON-MIN with labelled regions. */
export const labelStudioMin: Format = {
  title: "Label Studio JSON-MIN",
  readers: { tokens: (input) => readRegions(input, minTask) },
  fits: ({ start }) => isStudioMin(start) && hasLabels(start) && /"(start|end)"\s*:/.test(start),
};

/** Label Studio's JSON or JSON-MIN with choices for whole texts. */
export const labelStudioChoices: Format = {
  title: "Label Studio JSON with choices",
  readers: {
    text: (input) =>
      readChoices(input, (value, line, own) =>
        isRecord(value.data) ? jsonTask(value, line, own) : minTask(value, line),
      ),
  },
  fits: ({ start }) =>
    (isStudio(start) && (hasChoices(start) || !hasLabels(start))) ||
    (isStudioMin(start) && hasMinChoices(start)),
};
