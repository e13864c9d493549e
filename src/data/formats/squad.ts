import { answersFrom, placedAnswers, type UnplacedAnswers } from "../answers.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { jsonElements } from "../json-elements.ts";
import { isRecord } from "../lines.ts";

async function* unplaced(input: FormatInput): AsyncGenerator<UnplacedAnswers> {
  let articles = 0;
  for await (const { value, line } of jsonElements(input, ["data", "*"])) {
    articles++;
    const fail = (what: string): void =>
      input.reject(dataError(input.path, line, `article ${articles}: ${what}`));
    if (!isRecord(value) || !Array.isArray(value.paragraphs)) {
      fail("expected an object with paragraphs");
      continue;
    }
    const title = typeof value.title === "string" && value.title !== "" ? value.title : `article ${articles}`;
    for (const paragraph of value.paragraphs as unknown[]) {
      if (!isRecord(paragraph) || typeof paragraph.context !== "string" || !Array.isArray(paragraph.qas)) {
        fail("expected paragraphs with context and qas");
        continue;
      }
      for (const question of paragraph.qas as unknown[]) {
        try {
          yield exampleOf(input, question, paragraph.context, title, line);
        } catch (error) {
          input.reject(error);
        }
      }
    }
  }
}

function exampleOf(
  input: FormatInput,
  question: unknown,
  context: string,
  group: string,
  line: number,
): UnplacedAnswers {
  const fail = (expected: string): never => {
    throw dataError(input.path, line, `"${group}": expected ${expected}`);
  };
  if (!isRecord(question)) return fail("a question as an object");
  const { id, question: text, answers, is_impossible: impossible } = question;
  if (typeof text !== "string" || text.trim() === "") return fail("a question that is not empty");
  if (typeof id !== "string" && typeof id !== "number") return fail(`an id for "${text.slice(0, 40)}"`);
  const list = input.options.gold === false ? undefined : impossible === true ? [] : answers;
  return {
    id: String(id),
    question: text,
    context,
    ...(list !== undefined && { answers: answersFrom(input.path, line, list) }),
    group,
    line,
  };
}

/** The JSON of SQuAD 1.1 and 2.0: articles, their paragraphs, questions and answers with code point offsets. */
export const squad: Format = {
  title: "SQuAD 1.1 or 2.0 (JSON)",
  readers: { answers: (input) => placedAnswers(input, unplaced) },
  fits: ({ start }) =>
    /^\s*\{/.test(start) && /"data"\s*:\s*\[/.test(start) && /"(paragraphs|title)"\s*:/.test(start),
};
