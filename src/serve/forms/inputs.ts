import * as z from "zod";
import { PtuningError } from "../../core/index.ts";
import type {
  AnswerExample,
  ChoiceExample,
  ExampleKind,
  ExampleKinds,
  RoleExample,
  TextExample,
  TokenExample,
} from "../../data/index.ts";
import { splitWords } from "../../data/index.ts";
import type { InputForm, TensorFacts } from "./form.ts";

const word = z.string().min(1);
const bytes = (name: string, ...shape: number[]): TensorFacts => ({
  name,
  datatype: "BYTES",
  shape: [-1, ...shape],
});

const textObject = z.object({
  text: z.string(),
  text_pair: z.string().exactOptional(),
  candidate: z.string().exactOptional(),
  group: z.string().exactOptional(),
});

const text: InputForm<TextExample> = {
  item: z.union([z.string(), z.tuple([z.string(), z.string()]), textObject]),
  example(item) {
    if (typeof item === "string") return { text: item };
    const { text, text_pair, ...rest } = Array.isArray(item)
      ? ({ text: item[0], text_pair: item[1] } as z.infer<typeof textObject>)
      : (item as z.infer<typeof textObject>);
    return {
      text,
      ...(text_pair !== undefined && { pair: text_pair, candidate: text_pair }),
      // The candidates of one request are those of one question, unless it says more.
      group: "",
      ...rest,
    };
  },
  tensors: [bytes("text"), bytes("text_pair"), bytes("candidate"), bytes("group")],
  optional: ["text_pair", "candidate", "group"],
  row: (values) => Object.fromEntries(Object.entries(values).map(([name, [value]]) => [name, value])),
};

const choices: InputForm<ChoiceExample> = {
  item: z.object({ text: z.string(), choices: z.array(z.string()).min(2).max(1000) }),
  example: (item) => item as ChoiceExample,
  tensors: [bytes("text"), bytes("choices", -1)],
  optional: [],
  row: ({ text, choices }) => ({ text: text![0], choices }),
};

const tokens: InputForm<TokenExample> = {
  item: z.union([z.string(), z.object({ words: z.array(word).max(100_000) })]),
  example(item, task) {
    if (typeof item !== "string") return item as TokenExample;
    return task.fromText!(item) as TokenExample;
  },
  tensors: [bytes("text")],
  optional: [],
  row: ({ text }) => text![0],
};

const roles: InputForm<RoleExample> = {
  item: z.object({
    words: z.union([z.array(word).min(1).max(100_000), z.string()]),
    predicate: z.int().min(0),
  }),
  example(item) {
    const { words: given, predicate } = item as { words: string | readonly string[]; predicate: number };
    const words =
      typeof given === "string" ? splitWords(given).map(([start, end]) => given.slice(start, end)) : given;
    if (predicate < words.length) return { words, predicate };
    throw new PtuningError(
      "DATA_INVALID",
      `predicate: expected the number of one of ${words.length} words, from 0, got ${predicate}.`,
    );
  },
  tensors: [bytes("words"), { name: "predicate", datatype: "INT64", shape: [-1] }],
  optional: [],
  row: ({ words, predicate }) => ({ words: words![0], predicate: predicate![0] }),
};

const answers: InputForm<AnswerExample> = {
  item: z.object({ question: z.string(), context: z.string() }),
  example: (item) => ({ id: "", ...(item as { question: string; context: string }) }),
  tensors: [bytes("question"), bytes("context")],
  optional: [],
  row: ({ question, context }) => ({ question: question![0], context: context![0] }),
};

/** How examples of every kind stand in requests. */
export const inputForms: { readonly [K in ExampleKind]: InputForm<ExampleKinds[K]> } = {
  text,
  choices,
  tokens,
  roles,
  answers,
};
