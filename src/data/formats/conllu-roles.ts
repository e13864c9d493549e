import type { RoleExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { type Sentence, sentencesOf, splitTabs } from "../sentences.ts";
import { wordsOf } from "./conllu.ts";

/** Columns in front of the roleset. */
const treebankColumns = 10;

const isEmpty = (cell: string | undefined): boolean => cell === undefined || cell === "" || cell === "_";

async function* read(input: FormatInput): AsyncGenerator<RoleExample> {
  for await (const sentence of sentencesOf(input, { split: splitTabs })) {
    try {
      yield* examplesOf(wordsOf(sentence, input), input);
    } catch (error) {
      input.reject(error);
    }
  }
}

function* examplesOf({ rows, line, comments }: Sentence, input: FormatInput): Generator<RoleExample> {
  const words = rows.map((cells) => cells[1]!);
  const id = comments.find((comment) => /^sent_id\s*=/.test(comment))?.replace(/^sent_id\s*=\s*/, "");
  const predicates = rows.flatMap((cells, i) => (isEmpty(cells[treebankColumns]) ? [] : [i]));
  const columns = rows[0]!.length - treebankColumns - 1;
  if (predicates.length > columns) {
    throw dataError(
      input.path,
      line,
      `expected a column of roles for each of ${predicates.length} predicates, got ${Math.max(0, columns)}`,
    );
  }
  for (const [k, predicate] of predicates.entries()) {
    // Roles stand on the head word alone: a span is one word.
    const tags = rows.map((cells, i) => {
      const role = cells[treebankColumns + 1 + k];
      return i === predicate ? "B-V" : isEmpty(role) || role === "V" ? "O" : `B-${role}`;
    });
    yield {
      words,
      predicate,
      sense: rows[predicate]![treebankColumns]!,
      tags,
      group: id ?? `line ${line}`,
      line,
    };
  }
}

/** CoNLL-U with the roleset in column 11 and a column of roles per predicate (Universal Propositions). */
export const conlluRoles: Format = {
  title: "CoNLL-U with roles (Universal Propositions)",
  readers: { roles: read },
  fits: ({ name, start }) => /\.(conllu|conllup)$/.test(name) && /^1(\t[^\t\n]*){10,}$/m.test(start),
};
