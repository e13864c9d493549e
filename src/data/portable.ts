/** What needs no Node of this folder: examples and what they are, not how they are read. */
export { type ExampleText, exampleKinds, type KindDescription } from "./describe.ts";
export type {
  AnswerExample,
  ChoiceExample,
  Dataset,
  ExampleFile,
  ExampleKind,
  ExampleKinds,
  RoleExample,
  TextExample,
  TokenExample,
} from "./example.ts";
export { exampleKey } from "./kinds.ts";
export { type Column, type ColumnOptions, goldOptions, type ReadOptions } from "./options.ts";
export { splitOff } from "./split.ts";
export {
  decodeTags,
  detectTagScheme,
  encodeSpans,
  type TagRules,
  type TagScheme,
  type TypedSpan,
  tagRules,
} from "./tag-scheme.ts";
export { formerCut, splitWords, type WordCut } from "./word-cut.ts";
