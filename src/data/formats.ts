import type { Format } from "./format.ts";
import { conll2005, conll2012, goldConll } from "./formats/bracket-roles.ts";
import { clinc } from "./formats/clinc.ts";
import { conll } from "./formats/conll.ts";
import { conllu } from "./formats/conllu.ts";
import { conlluRoles } from "./formats/conllu-roles.ts";
import { json } from "./formats/json-records.ts";
import { jsonl } from "./formats/jsonl.ts";
import { labelStudio, labelStudioChoices, labelStudioMin } from "./formats/label-studio.ts";
import { parquet } from "./formats/parquet.ts";
import { plainLines } from "./formats/plain-lines.ts";
import { roleLines } from "./formats/role-lines.ts";
import { csv, tsv } from "./formats/separated.ts";
import { snips } from "./formats/snips.ts";
import { doccano, prodigy, spans } from "./formats/span-lines.ts";
import { spert } from "./formats/spert.ts";
import { squad } from "./formats/squad.ts";
import { boolq, copa, nli, wic, wsc } from "./formats/superglue.ts";
import { multirc, record } from "./formats/superglue-passages.ts";
import { wordTags } from "./formats/word-tags.ts";

/** Name of a file format; `lines` is plain text, a record per line. */
export type FormatName =
  | "parquet"
  | "gold-conll"
  | "conll-2012"
  | "conll-2005"
  | "role-lines"
  | "squad"
  | "boolq"
  | "nli"
  | "copa"
  | "wic"
  | "wsc"
  | "multirc"
  | "record"
  | "label-studio"
  | "label-studio-min"
  | "label-studio-choices"
  | "prodigy"
  | "spans"
  | "doccano"
  | "conllu-roles"
  | "conllu"
  | "snips"
  | "clinc"
  | "spert"
  | "word-tags"
  | "conll"
  | "csv"
  | "tsv"
  | "json"
  | "jsonl"
  | "lines";

/** Every file format by its name in configs: special ones before the tables that they could be mistaken for. */
export const formats: { readonly [F in FormatName]: Format } = {
  parquet,
  "gold-conll": goldConll,
  "conll-2012": conll2012,
  "conll-2005": conll2005,
  "role-lines": roleLines,
  squad,
  boolq,
  nli,
  copa,
  wic,
  wsc,
  multirc,
  record,
  "label-studio": labelStudio,
  "label-studio-min": labelStudioMin,
  "label-studio-choices": labelStudioChoices,
  prodigy,
  spans,
  doccano,
  "conllu-roles": conlluRoles,
  conllu,
  snips,
  clinc,
  spert,
  "word-tags": wordTags,
  conll,
  json,
  csv,
  tsv,
  jsonl,
  lines: plainLines,
};
