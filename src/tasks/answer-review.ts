import { AnswerMetrics } from "../metrics/index.ts";
import type { Review } from "./review.ts";

/** One question as it was answered; `""` is no answer. */
export interface AnsweredQuestion {
  readonly question: string;
  readonly predicted: string;
  readonly gold: readonly string[];
}

/** First words of questions that a table names; the rest are others. */
const namedWords = 8;
const answered = ["answer", "no answer"] as const;

/**
 * What a report shows of answers: scores by whether there is an answer and by how the question begins and, where
 * some question has none, how often an answer was given to which.
 */
export function reviewAnswers(
  questions: readonly AnsweredQuestion[],
  answerless: boolean,
): Pick<Review, "matrices" | "tables"> {
  const hasAnswer = ({ gold }: AnsweredQuestion): boolean => gold.length > 0;
  const counts = [true, false].map((has) => {
    const own = questions.filter((one) => hasAnswer(one) === has);
    const given = own.filter(({ predicted }) => predicted !== "").length;
    return [given, own.length - given];
  });
  const wordOf = ({ question }: AnsweredQuestion): string =>
    /[\p{L}\p{N}]+/u.exec(question)?.[0].toLowerCase() ?? "";
  const byWord = new Map<string, AnsweredQuestion[]>();
  for (const one of questions) byWord.set(wordOf(one), [...(byWord.get(wordOf(one)) ?? []), one]);
  const sorted = [...byWord].sort(([, a], [, b]) => b.length - a.length);
  const frequent = sorted.slice(0, namedWords);
  const groups: readonly (readonly [name: string, questions: readonly AnsweredQuestion[]])[] = [
    ...(answerless
      ? ([
          ["with an answer", questions.filter(hasAnswer)],
          ["without", questions.filter((one) => !hasAnswer(one))],
        ] as const)
      : []),
    ...frequent.map(([word, own]) => [`“${word} …”`, own] as const),
    ["others", sorted.slice(namedWords).flatMap(([, own]) => own)],
  ];
  return {
    matrices: answerless ? [{ title: "Answered or not", labels: answered, counts }] : [],
    tables: [
      {
        title: "Questions",
        columns: ["", "questions", "exact match", "F1"],
        rows: groups.filter(([, own]) => own.length > 0).map(([name, own]) => [name, ...scoresOf(own)]),
      },
    ],
  };
}

function scoresOf(questions: readonly AnsweredQuestion[]): number[] {
  const metrics = new AnswerMetrics();
  for (const { predicted, gold } of questions) metrics.add({ text: predicted }, gold);
  const { exactMatch, f1 } = metrics.result();
  return [questions.length, exactMatch!, f1!];
}
