import { PtuningError } from "../../core/index.ts";
import type {
  AnswerExample,
  ChoiceExample,
  RoleExample,
  TextExample,
  TokenExample,
} from "../../data/index.ts";
import type {
  AnswerSpan,
  CandidatePrediction,
  ChoicePrediction,
  MultiLabelPrediction,
  QuestionAnswer,
  RolePrediction,
  ScorePrediction,
  Task,
  TextPrediction,
  TokenPrediction,
} from "../../tasks/index.ts";
import { labelsOf } from "../../tasks/index.ts";
import type { AnswerForm, AnswerParameters, TensorFacts } from "./form.ts";
import { offsetsIn } from "./offsets.ts";

interface Scored {
  readonly label: string;
  readonly score: number;
}

const jsonRows = (name: string): TensorFacts => ({ name, datatype: "BYTES", shape: [-1] });
const label: TensorFacts = { name: "label", datatype: "BYTES", shape: [-1] };
const probabilities = (task: Task): TensorFacts => ({
  name: "probabilities",
  datatype: "FP32",
  shape: [-1, labelsOf(task).length],
});

function misfit(message: string): PtuningError {
  return new PtuningError("DATA_INVALID", message);
}

/** Labels with their probabilities, best first. */
function ranked(
  scores: Readonly<Record<string, number>>,
  { top_k, candidate_labels, multi_label, function_to_apply }: AnswerParameters,
  task: Task,
  own: "softmax" | "sigmoid",
): Scored[] {
  if (function_to_apply !== undefined && function_to_apply !== own) {
    throw misfit(`function_to_apply: expected ${own}, as the adapter has it, got ${function_to_apply}.`);
  }
  const all = labelsOf(task);
  for (const candidate of candidate_labels ?? []) {
    if (!all.includes(candidate)) {
      throw misfit(`candidate_labels: expected labels of the adapter, got "${candidate.slice(0, 80)}".`);
    }
  }
  const labels = candidate_labels === undefined ? all : [...new Set(candidate_labels)];
  // Among some labels only, one of them is right.
  const isShared = candidate_labels !== undefined && own === "softmax" && multi_label !== true;
  const sum = isShared ? labels.reduce((total, label) => total + scores[label]!, 0) || 1 : 1;
  return labels
    .map((label) => ({ label, score: scores[label]! / sum }))
    .sort((a, b) => b.score - a.score)
    .slice(0, top_k);
}

const rowsOf = (
  predictions: readonly { readonly probabilities: Readonly<Record<string, number>> }[],
  task: Task,
) => predictions.flatMap(({ probabilities }) => labelsOf(task).map((label) => probabilities[label]!));

const textClassification: AnswerForm<TextExample, TextPrediction> = {
  pipeline: "text-classification",
  nested: true,
  answer: ({ probabilities }, _, parameters, task) => ranked(probabilities, parameters, task, "softmax"),
  outputs: (task) => [label, probabilities(task)],
  // An empty label is none: the adapter abstains.
  tensors: (predictions, _, __, task) => [
    predictions.map(({ label }) => label ?? ""),
    rowsOf(predictions, task),
  ],
};

const multiLabel: AnswerForm<TextExample, MultiLabelPrediction> = {
  pipeline: "text-classification",
  nested: true,
  answer: ({ probabilities }, _, parameters, task) => ranked(probabilities, parameters, task, "sigmoid"),
  outputs: (task) => [jsonRows("labels"), probabilities(task)],
  tensors: (predictions, _, __, task) => [
    predictions.map(({ labels }) => JSON.stringify(labels)),
    rowsOf(predictions, task),
  ],
};

const regression: AnswerForm<TextExample, ScorePrediction> = {
  pipeline: "text-classification",
  nested: true,
  answer: ({ score }) => [{ label: "score", score }],
  outputs: () => [{ name: "score", datatype: "FP64", shape: [-1] }],
  tensors: (predictions) => [predictions.map(({ score }) => score)],
};

const candidateRanking: AnswerForm<TextExample, CandidatePrediction> = {
  pipeline: "candidate-ranking",
  answer: ({ candidate, chosen, probabilities }, _, __, task) => ({
    candidate,
    chosen,
    score: probabilities[positiveOf(task)]!,
  }),
  together(predictions, examples, task) {
    const positive = positiveOf(task);
    const best = new Map<string, number>();
    for (const [i, { group = "", candidate = "" }] of examples.entries()) {
      const leader = best.get(group);
      const score = predictions[i]!.probabilities[positive]!;
      const most = leader === undefined ? -1 : predictions[leader]!.probabilities[positive]!;
      const isFirst = score === most && candidate < (examples[leader!]!.candidate ?? "");
      if (score > most || isFirst) best.set(group, i);
    }
    const chosen = new Set(best.values());
    return predictions.map((prediction, i) => ({ ...prediction, chosen: chosen.has(i) }));
  },
  outputs: (task) => [{ name: "chosen", datatype: "INT32", shape: [-1] }, probabilities(task)],
  tensors: (predictions, _, __, task) => [
    predictions.map(({ chosen }) => Number(chosen)),
    rowsOf(predictions, task),
  ],
};

function positiveOf(task: Task): string {
  return String(task.options.positive ?? labelsOf(task).at(-1));
}

const multipleChoice: AnswerForm<ChoiceExample, ChoicePrediction> = {
  pipeline: "multiple-choice",
  answer: ({ probabilities }, { choices }, { top_k }) =>
    probabilities
      .map((score, choice) => ({ label: choices[choice]!, score, choice }))
      .sort((a, b) => b.score - a.score)
      .slice(0, top_k),
  outputs: () => [
    { name: "choice", datatype: "INT32", shape: [-1] },
    { name: "score", datatype: "FP32", shape: [-1] },
  ],
  tensors: (predictions) => [predictions.map(({ choice }) => choice), predictions.map(({ score }) => score)],
};

const tokenClassification: AnswerForm<TokenExample, TokenPrediction> = {
  pipeline: "token-classification",
  answer({ entities, tags }, example, { aggregation_strategy = "simple", offset_unit }) {
    const { words, text = words.join(" "), offsets } = example;
    const place = offsetsIn(text, offset_unit);
    if (aggregation_strategy !== "none") {
      return entities.map(({ type, score, text: word, offsets: [start, end] }) => ({
        ...{ entity_group: type, score, word },
        ...{ start: place(start), end: place(end) },
      }));
    }
    const places = offsets ?? joined(words);
    return entities.flatMap(({ start, end, score }) =>
      words.slice(start, end).map((word, i) => {
        const [from, to] = places[start + i]!;
        return {
          ...{ entity: tags[start + i]!, score, index: start + i, word },
          ...{ start: place(from), end: place(to) },
        };
      }),
    );
  },
  outputs: () => [jsonRows("entities")],
  tensors: (predictions, examples, parameters, task) => [
    predictions.map((prediction, i) =>
      JSON.stringify(tokenClassification.answer(prediction, examples[i]!, parameters, task)),
    ),
  ],
};

function joined(words: readonly string[]): (readonly [start: number, end: number])[] {
  let at = 0;
  return words.map((word) => {
    const start = at;
    at += word.length + 1;
    return [start, start + word.length];
  });
}

const semanticRoles: AnswerForm<RoleExample, RolePrediction> = {
  pipeline: "semantic-roles",
  answer: ({ roles }) =>
    roles.map(({ role, text, start, end, score }) => ({ role, word: text, score, start, end })),
  outputs: () => [jsonRows("roles")],
  tensors: (predictions, examples, parameters, task) => [
    predictions.map((prediction, i) =>
      JSON.stringify(semanticRoles.answer(prediction, examples[i]!, parameters, task)),
    ),
  ],
};

const questionAnswering: AnswerForm<AnswerExample, QuestionAnswer> = {
  pipeline: "question-answering",
  answer(prediction, { context }, { top_k = 1, handle_impossible_answer = false, offset_unit }, task) {
    const place = offsetsIn(context, offset_unit);
    const spanOf = ({ text, score, start, end }: AnswerSpan) => ({
      ...{ answer: text, score },
      ...{ start: place(start), end: place(end) },
    });
    const spans = prediction.nBest.map(spanOf);
    const isPossible = handle_impossible_answer && task.options.answerless === true;
    if (isPossible) {
      const given = prediction.nBest.reduce((sum, { score }) => sum + score, 0);
      const none = { answer: "", score: Math.max(0, 1 - given), start: 0, end: 0 };
      // The adapter's own threshold decides whether there is an answer; behind that, probabilities do.
      if (prediction.text === "") spans.unshift({ ...none, score: prediction.score });
      else spans.splice(Math.max(1, spans.findIndex(({ score }) => score < none.score) >>> 0), 0, none);
    }
    if (spans.length === 0) spans.push({ answer: "", score: 0, start: 0, end: 0 });
    return top_k === 1 ? spans[0]! : spans.slice(0, top_k);
  },
  outputs: () => [jsonRows("answer")],
  tensors: (predictions, examples, parameters, task) => [
    predictions.map((prediction, i) =>
      JSON.stringify(questionAnswering.answer(prediction, examples[i]!, parameters, task)),
    ),
  ],
};

/** How answers of every type of task stand in responses. */
export const answerForms: Readonly<Record<string, AnswerForm>> = {
  "text-classification": textClassification as AnswerForm,
  "answer-selection": textClassification as AnswerForm,
  "multi-label": multiLabel as AnswerForm,
  regression: regression as AnswerForm,
  "candidate-ranking": candidateRanking as AnswerForm,
  "multiple-choice": multipleChoice as AnswerForm,
  "token-classification": tokenClassification as AnswerForm,
  "semantic-roles": semanticRoles as AnswerForm,
  "question-answering": questionAnswering as AnswerForm,
};
