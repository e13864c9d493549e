import { createContext, Script } from "node:vm";
import { PtuningError, shown } from "../core/index.ts";

/** What a pattern found in a text, by the names of its groups; nothing where it does not fit. */
export type FoundGroups = Readonly<Record<string, string | undefined>> | undefined;

/** A text is short; a pattern that takes longer on one goes back and forth without end. */
const oneTextMs = 1000;
/** All texts of a batch together; where that is too little each gets its own time. */
const batchMs = 2000;

/**
 * A regular expression of the user's, applied to many texts at once under a limit of time. The engine's own regular
 * expressions are kept, with all they can say, as a call with a limit breaks them off; the limit costs a tenth of a
 * millisecond to set, which is why texts come in batches.
 */
export class LabelPattern {
  readonly #pattern: RegExp;
  readonly #script = new Script("run()");
  readonly #context: { run: () => void } = { run: () => {} };

  /** @throws OPTION_INVALID if it is no regular expression, or has no group for the label */
  constructor(source: string) {
    createContext(this.#context);
    try {
      this.#pattern = new RegExp(source, "u");
    } catch (cause) {
      throw new PtuningError(
        "OPTION_INVALID",
        `labelPattern: expected a regular expression, got ${shown(source)}.`,
        { cause },
      );
    }
    if (/\(\?<labels?>/.test(source)) return;
    throw new PtuningError(
      "OPTION_INVALID",
      "labelPattern: expected a group named label or labels: (?<label>…).",
    );
  }

  /** @throws OPTION_INVALID with the text on which it takes too long */
  find(texts: readonly string[]): FoundGroups[] {
    const found: FoundGroups[] = [];
    const all = (some: readonly string[], timeout: number): boolean => {
      this.#context.run = () => {
        for (let i = found.length; i < some.length; i++) found.push(this.#pattern.exec(some[i]!)?.groups);
      };
      try {
        this.#script.runInContext(this.#context, { timeout });
        return true;
      } catch (error) {
        // The error belongs to the context: it is no instance of our own class of errors.
        if ((error as { code?: unknown } | null)?.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return false;
        throw error;
      }
    };
    if (all(texts, batchMs)) return found;
    while (found.length < texts.length) {
      const next = found.length;
      if (all(texts.slice(0, next + 1), oneTextMs)) continue;
      throw new PtuningError(
        "OPTION_INVALID",
        `labelPattern: expected an answer within ${oneTextMs / 1000} second, ${this} takes longer on ${shown(texts[next])}.`,
        {
          hint: "Repeats inside repeats, as in (a+)+, make a pattern try every way to part a text: write it without.",
        },
      );
    }
    return found;
  }

  toString(): string {
    return String(this.#pattern);
  }
}
