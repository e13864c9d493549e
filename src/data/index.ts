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
export { type FormatName, formats, type Row } from "./formats.ts";
export { type Guess, guessTable } from "./guess.ts";
export { type ExampleText, exampleKinds, type KindAnswers } from "./kinds.ts";
export { splitOff, textKey } from "./split.ts";
export {
  type Column,
  type DatasetOptions,
  openRows,
  readExamples,
  readTable,
  type TableOptions,
} from "./table.ts";
