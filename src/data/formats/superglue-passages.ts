import type { TextExample } from "../example.ts";
import type { Format } from "../format.ts";
import { isRecord } from "../lines.ts";
import { type SuperglueRecord, superglueTask } from "./superglue.ts";

/** Number that the official files give a passage, question or option; their place where a copy has none. */
function idOf({ fields }: SuperglueRecord, place: number): string {
  const { idx } = fields;
  return String(typeof idx === "number" ? idx : isRecord(idx) ? JSON.stringify(idx) : place);
}

/** MultiRC: paragraph, and `question answer` for each option; the options of a question are a group. */
export const multirc: Format = superglueTask(
  "SuperGLUE MultiRC",
  "text",
  /^(?=.* passage )(?=.* questions )(?=.* answers )/,
  function* read(record): Generator<TextExample> {
    const passage = record.inside("passage");
    const document = `paragraph ${idOf(record, record.line)}`;
    const text = passage.text("text");
    for (const [q, question] of passage.each("questions").entries()) {
      for (const answer of question.each("answers")) {
        const candidate = answer.text("text");
        yield {
          text,
          pair: `${question.text("question")} ${candidate}`,
          ...truth(answer),
          group: `${document}, question ${idOf(question, q)}`,
          document,
          candidate,
          line: record.line,
        };
      }
    }
  },
);

/** Files have 0 and 1, or truth values; ours are `false` and `true`, as in BoolQ. */
function truth(answer: SuperglueRecord): { readonly label?: string } {
  const { label } = answer.label();
  if (label === undefined) return {};
  if (label === "1" || label === "true") return { label: "true" };
  return label === "0" || label === "false"
    ? { label: "false" }
    : answer.fail(`a label 0 or 1, got "${label}"`);
}

/**
 * ReCoRD: the passage, and the query with one of the passage's entities in place of `@placeholder`; `true` where the
 * entity is one of the answers. The entities of a query are a group; each different text counts once.
 */
export const record: Format = superglueTask(
  "SuperGLUE ReCoRD",
  "text",
  /^(?=.* passage )(?=.* entities )(?=.* qas )/,
  function* read(row): Generator<TextExample> {
    const passage = row.inside("passage");
    const original = passage.text("text");
    const entities = new Set(passage.each("entities").map((entity) => stretch(original, entity)));
    const document = `passage ${idOf(row, row.line)}`;
    const text = original.replaceAll("@highlight\n", "- ");
    for (const [q, query] of row.each("qas").entries()) {
      const question = query.text("query");
      if (!question.includes("@placeholder")) query.fail("a query with @placeholder");
      // Files of the test split have no answers.
      const isLabelled = query.fields.answers !== undefined;
      const answers = isLabelled
        ? [...new Set(query.each("answers").map((answer) => answer.text("text")))]
        : undefined;
      for (const candidate of entities) {
        yield {
          text,
          pair: question.replaceAll("@placeholder", () => candidate),
          ...(answers && { label: String(answers.includes(candidate)), answers }),
          group: `${document}, query ${idOf(query, q)}`,
          document,
          candidate,
          line: row.line,
        };
      }
    }
  },
);

/** The entity at `start … end` (inclusive), counted in code points. */
function stretch(text: string, entity: SuperglueRecord): string {
  const [start, end] = [entity.integer("start"), entity.integer("end")];
  // Surrogate pairs are rare: without them code points are string indices.
  const isPlain = !/[\ud800-\udbff]/.test(text);
  const found = isPlain
    ? text.slice(start, end + 1)
    : Array.from(text)
        .slice(start, end + 1)
        .join("");
  if (start < 0 || end < start || found === "")
    entity.fail(`an entity inside the passage, got ${start} to ${end}`);
  return found;
}
