/** Parts of a data set. */
export type SplitName = "train" | "dev" | "test";

/** `error`: training would fail or learn something wrong; `warning`: look at it; `info`: good to know. */
export type Severity = "error" | "warning" | "info";

/** Where an example stands. */
export interface Place {
  readonly split: SplitName;
  /** Line of its file, where the reader knows it. */
  readonly line?: number;
}

/** One thing that was noticed in a data set, and what to do about it. Quotes labels, never texts. */
export interface Finding {
  readonly severity: Severity;
  /** Stable name of the check: `duplicates`, `label-conflicts`. */
  readonly code: string;
  readonly message: string;
  readonly advice?: string;
  /** The first few examples that it is about. */
  readonly places: readonly Place[];
}

/** Places of any number of examples: all are counted, the first few are kept. */
export class Places {
  /** Places that a finding names at most. */
  static readonly most = 8;
  #count = 0;
  /** A line of a file may hold many examples. */
  readonly #named = new Map<number | undefined, Place>();

  get count(): number {
    return this.#count;
  }

  /** The first places, each once. */
  get named(): readonly Place[] {
    return [...this.#named.values()];
  }

  /** @param place in the same split as the others */
  add(place: Place): void {
    this.#count++;
    if (this.#named.size < Places.most && !this.#named.has(place.line)) this.#named.set(place.line, place);
  }
}

/** A finding about some examples. */
export function finding(
  severity: Severity,
  code: string,
  message: string,
  { advice, places }: { readonly advice?: string; readonly places?: Places } = {},
): Finding {
  return { severity, code, message, ...(advice && { advice }), places: places?.named ?? [] };
}

/** `1 example`, `12 examples`; with the share of a whole where that is given: `12 examples (0.4 %)`. */
export function countOf(count: number, noun: string, whole?: number): string {
  const share = whole ? ` (${((100 * count) / whole).toFixed(1)} %)` : "";
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}${share}`;
}

/** The first names of a list, in quotes. */
export function someOf(names: readonly string[], most = 10): string {
  const shown = names.slice(0, most).map((name) => `"${name}"`);
  return `${shown.join(", ")}${names.length > most ? ` and ${names.length - most} more` : ""}`;
}
