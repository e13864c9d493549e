import { type PtuningError, shown } from "../core/index.ts";
import { dataError } from "./format.ts";
import type { Column } from "./options.ts";

/** What the label of a row with choices is. */
export type ChoiceReading = "from-0" | "from-1" | "columns" | "letters" | "texts";

interface Reading {
  /** For messages: what a label is, where `last` is the number of the last choice, from 0. */
  title(last: number): string;
  /** Number of the choice that a label names, from 0; −1 if it names none. */
  find(label: string, choices: readonly string[], columns: readonly string[]): number;
}

function numbered(first: 0 | 1): Reading {
  return {
    title: (last) => `a number from ${first} to ${last + first}`,
    find(label, choices) {
      // pandas writes whole numbers of a column with gaps as 1.0.
      const number = /^\d+(?:\.0+)?$/.test(label) ? Number(label) - first : -1;
      return number < choices.length ? number : -1;
    },
  };
}

const readings: { readonly [R in ChoiceReading]: Reading } = {
  "from-0": numbered(0),
  "from-1": numbered(1),
  columns: {
    title: () => "the name of a choice's column",
    find: (label, _choices, columns) => (columns.length > 1 ? columns.indexOf(label) : -1),
  },
  letters: {
    title: (last) => `a letter from A to ${String.fromCharCode(65 + last)}`,
    find(label, choices) {
      const number = /^[A-Za-z]$/.test(label) ? label.toUpperCase().charCodeAt(0) - 65 : -1;
      return number < choices.length ? number : -1;
    },
  },
  texts: {
    title: () => "the text of a choice",
    find: (label, choices) => choices.findIndex((choice) => choice.trim() === label),
  },
};

const names = Object.keys(readings) as ChoiceReading[];

/** Number of the choice that a label names, from 0; `undefined` if it names none. */
export function choiceOf(
  reading: ChoiceReading,
  label: string,
  choices: readonly string[],
  columns: readonly string[],
): number | undefined {
  const number = readings[reading].find(label, choices, columns);
  return number < 0 ? undefined : number;
}

/** What was expected of a label. */
export function choiceTitle(reading: ChoiceReading, choices: number): string {
  return readings[reading].title(choices - 1);
}

interface Place {
  readonly line: number;
  readonly label: string;
  readonly last: number;
}

/** Looks at all labels of a file with choices and finds the one reading that fits them all. */
export class ChoiceLabels {
  readonly #path: string;
  readonly #column: Column;
  readonly #columns: readonly string[];
  readonly #fits = new Map<ChoiceReading, number>(names.map((name) => [name, 0]));
  readonly #misfits = new Map<ChoiceReading, Place>();
  /** The first row in which two readings give different choices. */
  readonly #differ = new Map<string, Place>();
  #rows = 0;

  constructor(path: string, column: Column, columns: readonly string[]) {
    this.#path = path;
    this.#column = column;
    this.#columns = columns;
  }

  add(line: number, label: string, choices: readonly string[]): void {
    this.#rows++;
    const place = { line, label, last: choices.length - 1 };
    const found = names.map((name) => readings[name].find(label, choices, this.#columns));
    for (const [i, name] of names.entries()) {
      if (found[i]! >= 0) this.#fits.set(name, this.#fits.get(name)! + 1);
      else if (!this.#misfits.has(name)) this.#misfits.set(name, place);
      for (let j = 0; j < i; j++) {
        const pair = `${names[j]} ${name}`;
        if (found[i]! >= 0 && found[j]! >= 0 && found[i] !== found[j] && !this.#differ.has(pair)) {
          this.#differ.set(pair, place);
        }
      }
    }
  }

  /**
   * @param isTolerant rows that do not fit are left out later
   * @throws DATA_INVALID where no reading fits all rows, or two that differ do
   */
  decide(isTolerant: boolean): ChoiceReading {
    if (this.#rows === 0) return "from-0";
    const best = Math.max(...this.#fits.values());
    const fitting = names.filter((name) => this.#fits.get(name) === best);
    if (best < this.#rows && !isTolerant) throw this.#misfit(fitting[0]!);
    for (const [j, second] of fitting.entries()) {
      for (const first of fitting.slice(0, j)) {
        const place = this.#differ.get(`${first} ${second}`);
        if (place !== undefined) throw this.#ambiguous(first, second, place);
      }
    }
    return fitting[0]!;
  }

  #ambiguous(first: ChoiceReading, second: ChoiceReading, { line, label, last }: Place): PtuningError {
    return dataError(
      this.#path,
      line,
      `"${this.#column}": expected labels that can be read in one way, got ${shown(label)}, which is ` +
        `${readings[first].title(last)} and ${readings[second].title(last)}, as in all ${this.#rows} rows`,
      { hint: `Say which it is: data.choiceLabels: ${first} or ${second}.` },
    );
  }

  #misfit(best: ChoiceReading): PtuningError {
    const { line, label, last } = this.#misfits.get(best)!;
    const count = this.#fits.get(best)!;
    const others = names.filter((name) => this.#fits.get(name)! > 0 && name !== best);
    const expected =
      count === 0
        ? `${readings["from-0"].title(last)}, or the text of a choice`
        : `${readings[best].title(last)}, as in ${count} of ${this.#rows} rows`;
    return dataError(this.#path, line, `"${this.#column}": expected ${expected}, got ${shown(label)}`, {
      hint:
        others.length === 0
          ? "Labels are numbers from 0 or from 1, letters, names of the choices' columns, or texts of choices."
          : `All labels of a file are read in one way. Say which: data.choiceLabels: ${[best, ...others].join(" or ")}.`,
    });
  }
}
