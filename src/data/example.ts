/**
 * Raw examples, one interface per kind of task; readers make them, tasks take them. A field that holds what is to be
 * predicted is absent in data that is only to be predicted.
 */

/** Where an example comes from. */
interface FromFile {
  /** Line of the file that it starts on. */
  readonly line?: number;
}

/** One text or pair of texts, with what is to be predicted of it. */
export interface TextExample extends FromFile {
  readonly text: string;
  /** Second text of a pair. */
  readonly pair?: string;
  /** Single-label classification. */
  readonly label?: string;
  /** Multi-label classification: any number of labels, also none. */
  readonly labels?: readonly string[];
  /** Regression. */
  readonly score?: number;
  /** Examples that are scored together: the options of one question, the candidates of one query. */
  readonly group?: string;
  /** Passage or document that several groups share: splits keep it together. */
  readonly document?: string;
  /** What this example proposes as the answer of its {@link group}: the entity of ReCoRD, the option of MultiRC. */
  readonly candidate?: string;
  /** Gold answers of the {@link group}, for scores that compare strings (ReCoRD's EM and F1). */
  readonly answers?: readonly string[];
}

/** A text, and alternatives of which one continues or answers it. */
export interface ChoiceExample extends FromFile {
  readonly text: string;
  /** Any number of alternatives from two, also different from example to example. */
  readonly choices: readonly string[];
  /** Number of the right one, from 0. */
  readonly label?: number;
}

/** A sentence in words, with a tag for each. */
export interface TokenExample extends FromFile {
  readonly words: readonly string[];
  /** As the file has them, in any scheme (IOB1, IOB2, IOBES, BILOU). */
  readonly tags?: readonly string[];
  /** The text that the words were cut from, if there is one. */
  readonly text?: string;
  /** `[start, end)` of each word in {@link text}, as JavaScript string indices. */
  readonly offsets?: readonly (readonly [start: number, end: number])[];
}

/** A sentence in words, with the roles that one of them, the predicate, gives to the others. */
export interface RoleExample extends FromFile {
  readonly words: readonly string[];
  /** Number of the predicate's word, from 0. */
  readonly predicate: number;
  /** Roleset or lemma, as the file has it. */
  readonly sense?: string;
  /** IOB2 tags of the roles; the predicate's own is `B-V`. */
  readonly tags?: readonly string[];
  /** Examples of one sentence share it. */
  readonly group?: string;
}

/** A question about a passage, answered by a stretch of it. */
export interface AnswerExample extends FromFile {
  readonly id: string;
  readonly question: string;
  readonly context: string;
  /** Gold answers; `[]` where the passage does not answer. `start` is a JavaScript string index into the context. */
  readonly answers?: readonly { readonly text: string; readonly start: number }[];
  /** Article or document: splits keep it together. */
  readonly group?: string;
}

/** Kinds of examples, by their interface. */
export interface ExampleKinds {
  text: TextExample;
  choices: ChoiceExample;
  tokens: TokenExample;
  roles: RoleExample;
  answers: AnswerExample;
}

/** Name of a kind of examples: what a reader gives and a task takes. */
export type ExampleKind = keyof ExampleKinds;

/** Examples from one file. */
export interface ExampleFile<E = TextExample> {
  readonly path: string;
  /** Packed: an example is made each time it is read, and changes to it change nothing here. */
  readonly examples: readonly E[];
  /** SHA-256 of the bytes on disk. */
  readonly sha256: string;
  /** What was noticed and left out, with counts. */
  readonly warnings: readonly string[];
  /** Name of the file's format. */
  readonly format?: string;
  /** What separates its cells, where that is not what the format's name says. */
  readonly delimiter?: string;
  /** What was decided for the whole file, for reading others alike. */
  readonly settled?: Readonly<Record<string, unknown>>;
}

/** Labelled examples of a task, split for training: arrays of any make; those of readers are packed, as {@link ExampleFile} has them. */
export interface Dataset<E = TextExample> {
  readonly train: readonly E[];
  readonly dev: readonly E[];
  readonly test: readonly E[];
  /** The labels, tags or role tags of `train` and `dev`, sorted; empty for kinds that have none. */
  readonly labels: readonly string[];
  /** SHA-256 over the files that went in. */
  readonly fingerprint: string;
  readonly warnings: readonly string[];
  /** The first file that was read for training. */
  readonly source?: { readonly path: string; readonly format?: string; readonly delimiter?: string };
  /** How the files were read, for reading others alike. */
  readonly table?: Readonly<Record<string, unknown>>;
}
