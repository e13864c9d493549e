import type { AnswerExample } from "../data/index.ts";
import { scoreDigits } from "./answer-columns.ts";
import type { QuestionAnswer } from "./question-answering.ts";
import type { Task } from "./task.ts";

/** Answers to questions as lines of a table. @param answerless whether a passage may not answer */
export function answerTable(
  answerless: boolean,
): Pick<Task<AnswerExample, never, QuestionAnswer>, "blank" | "columns" | "tabulate"> {
  return {
    blank: { text: "", start: -1, end: -1, score: null, nBest: [] },
    columns: () => [
      { title: "answer" },
      { title: "score", digits: scoreDigits },
      ...(answerless ? [{ title: "noAnswer", digits: scoreDigits }] : []),
      { title: "characters" },
      { title: "question" },
    ],
    tabulate({ question }, { text, score, start, end, noAnswerScore, nBest }, detailed) {
      const rows = detailed ? nBest : [{ text, score, start, end }];
      return rows.map((answer) => ({
        answer: answer.text,
        score: answer.score,
        ...(noAnswerScore !== undefined && { noAnswer: noAnswerScore }),
        characters: answer.start < 0 ? "" : `${answer.start}–${answer.end - 1}`,
        question,
      }));
    },
  };
}
