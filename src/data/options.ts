import type { ChoiceReading } from "./choice-labels.ts";
import type { OffsetUnit } from "./counting.ts";
import type { ExampleKind } from "./example.ts";
import type { Split } from "./format.ts";
import type { FormatName } from "./formats.ts";
import type { ListForm } from "./list-cells.ts";
import type { WordCut } from "./word-cut.ts";

/** A column by name, or by number counted from 1 in files without a header. */
export type Column = string | number;

/** Which columns of a table (CSV, TSV, JSON lines, Parquet) an example is made of. */
export interface ColumnOptions {
  /** Column of the text, or of the two texts of a pair. */
  readonly text?: Column | readonly [Column] | readonly [Column, Column];
  /** Column of the label; leave it out for data that is only to be predicted, or with a `labelPattern`. */
  readonly label?: Column;
  /**
   * Regular expression that finds the label inside a field, with a group named `label` (or `labels`, for several
   * with blanks or a `labelSeparator` between them) and, where the field holds the text as well, a group named `text`: `^(?<label>\w+):\S+ (?<text>.*)$` reads TREC's files. It is
   * applied to the label's column, or without one to the text's.
   */
  readonly labelPattern?: string;
  /**
   * Multi-label: a column with a list (also as JSON or Python writes it) or labels joined by {@link labelSeparator}; or
   * several columns, named like the labels, of 0 and 1.
   */
  readonly labels?: Column | readonly Column[];
  /** Default: the one of `,`, `;` and `|` that the column has. */
  readonly labelSeparator?: string;
  /** The labels of a column with lists of 0 and 1, in their order. */
  readonly labelNames?: readonly string[];
  /** Regression: a column of numbers. */
  readonly score?: Column;
  /** Examples that share it are scored together and stay in one split. Answers: the article. */
  readonly group?: Column;
  /** Multiple choice: a column with a list, or one column per alternative. The label names the right one: see {@link choiceLabels}. */
  readonly choices?: Column | readonly Column[];
  /**
   * What the labels of choices are: numbers from 0 or from 1, names of the choices' columns, letters from A, or texts of
   * choices. Default: the one that all labels of the file fit; where two would give different choices the file is refused.
   */
  readonly choiceLabels?: ChoiceReading;
  /** Whether text cells of lists (labels, words, tags, choices) are lists or joined items. Default: what all of a column are. */
  readonly listCells?: ListForm;
  /** Words: a list, a JSON array, or words joined by blanks. Default `tokens` or `words`. */
  readonly tokens?: Column;
  /** A tag for each word, in the same forms. Default `tags`, `ner_tags`, `labels` or `pos_tags`. */
  readonly tags?: Column;
  /** Roles: number of the predicate's word, from 0. Default `predicate` or `predicate_index`. */
  readonly predicate?: Column;
  /** Default `sense` or `roleset`, if there is one. */
  readonly sense?: Column;
  /** Default `question`. */
  readonly question?: Column;
  /** Default `context`. */
  readonly context?: Column;
  /** `{text: […], answer_start: […]}` or a list of `{text, answer_start}`, also as JSON text. Default `answers`. */
  readonly answers?: Column;
  /** Default `id`. */
  readonly id?: Column;
}

/** Options that name what is to be predicted: left out when a file is only to be predicted. */
export const goldOptions: readonly (keyof ReadOptions)[] = [
  "label",
  "labelPattern",
  "labels",
  "score",
  "tags",
  "tagColumn",
  "answers",
];

/** How one file is read. */
export interface ReadOptions extends ColumnOptions {
  /** Which examples the file gives; default: what its format or its columns say. */
  readonly kind?: ExampleKind;
  /** Default: by the file's name, else by how it starts. */
  readonly format?: FormatName;
  /** Default: a comma for CSV, a tab for TSV; another of comma, tab, `;` and `|` where the first rows have only that. */
  readonly delimiter?: string;
  /** Whether `"` at the start of a cell quotes it. Default: true, for tabs where all that open a cell close it. */
  readonly quotes?: boolean;
  /** Whether the first row of a CSV or TSV names the columns. Default: true if a column is given by name. */
  readonly header?: boolean;
  /** Default `utf-8`; others are named, never guessed. */
  readonly encoding?: string;
  /** Records that cannot be read: an error (the default), or left out and counted. */
  readonly damaged?: "refuse" | "skip";
  /** What a gzip file may unpack to at most, in bytes. Default 8 GiB. */
  readonly maxUnpackedBytes?: number;
  /** Files that hold several splits: the one that is read. Default: all. */
  readonly split?: Split;
  /** CoNLL columns: number of the column of the words, from 1. Default: the first. */
  readonly tokenColumn?: number;
  /** CoNLL columns: number of the column of the tags, from 1. Default: the last; CoNLL-U: the fourth. */
  readonly tagColumn?: number;
  /** WiC and WSC: 0 (the default, used with RoBERTa) or 1 (used with BERT); see paper.md 1.11. */
  readonly template?: 0 | 1;
  /**
   * Spans that do not end at word borders: an error (the default), words cut there, in predictions likewise, widened to
   * whole words, or left out. Without a choice words are cut where that is how the language writes.
   */
  readonly misaligned?: "refuse" | "cut" | "snap" | "drop";
  /** What offsets of spans count. Default `auto`: what the whole file bears out. */
  readonly offsets?: OffsetUnit | "auto";
  /** How texts are cut into words. Default: so that the spans of the file end at words. */
  readonly cut?: WordCut;
  /** `false`: what is to be predicted is not looked at, whether it is there or not. Default `true`. */
  readonly gold?: boolean;
  /** Spans that overlap: an error (the default), or the longest is kept. */
  readonly overlapping?: "refuse" | "longest";
}
