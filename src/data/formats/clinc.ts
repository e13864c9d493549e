import type { TextExample } from "../example.ts";
import { dataError, type Format, type FormatInput, type Split } from "../format.ts";
import { jsonElements } from "../json-elements.ts";

const splitOfKey: Readonly<Record<string, Split>> = { train: "train", val: "dev", test: "test" };

async function* read(input: FormatInput): AsyncGenerator<TextExample> {
  const { split } = input.options;
  for await (const { path, value, line } of jsonElements(input, ["*", "*"])) {
    const part = splitOfKey[String(path[0]).replace(/^oos_/, "")];
    if (part === undefined) {
      input.reject(
        dataError(input.path, line, `expected a split such as train or oos_val, got "${path[0]}"`),
      );
    } else if (
      !Array.isArray(value) ||
      value.length !== 2 ||
      value.some((item) => typeof item !== "string" || item.trim() === "")
    ) {
      input.reject(dataError(input.path, line, `${path[0]}: expected [text, intent]`));
    } else if (split === undefined || split === part) {
      yield { text: value[0], label: value[1], line };
    }
  }
}

/** One JSON object, split name to a list of `[text, intent]`; `oos_…` holds what is out of scope (CLINC150). */
export const clinc: Format = {
  title: "JSON of splits with [text, intent] (CLINC150)",
  readers: { text: read },
  splits: ["train", "dev", "test"],
  fits: ({ start }) => /^\s*\{\s*"(oos_)?(train|val|test)"\s*:\s*\[\s*(\[\s*"|\])/.test(start),
};
