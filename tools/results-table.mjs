/** Writes the tables of results/README.md from the rows. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { root } from "./prepare.mjs";

/** Where the rows lie. */
export const folder = join(root, "results");
/** The rows of a file, one JSON value per line; none where there is no file. */
export const readRows = (path) =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line))
    : [];

/** The rows of a recipe of this name, in the order in which they were run. */
export const rowsOf = (name) => readRows(join(folder, `${name}.jsonl`));

/** `recipes/defaults/trec.yaml` → `defaults-trec` */
export const nameOf = (recipe) =>
  recipe
    .replace(/^recipes\//, "")
    .replace(/\.yaml$/, "")
    .replaceAll("/", "-");

/** SHA-256 of a recipe without its comments. */
export function recipeHash(recipe) {
  const text = readFileSync(join(root, recipe), "utf8").replace(/^\s*#.*$/gm, "");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean, and standard deviation between values (n − 1). */
export function spread(values) {
  const center = mean(values);
  const squares = values.reduce((sum, v) => sum + (v - center) ** 2, 0);
  return { mean: center, deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0 };
}

/** Mean ± standard deviation in points. */
export function points(values) {
  const { mean: center, deviation } = spread(values);
  return `${(100 * center).toFixed(1)}${values.length > 1 ? ` ± ${(100 * deviation).toFixed(1)}` : ""}`;
}

/** What the rows of a recipe say together; undefined where it has none. */
function summarize({ recipe, scores }) {
  const name = nameOf(recipe);
  const hash = recipeHash(recipe);
  const rows = rowsOf(name).filter((row) => row.configHash === hash);
  if (rows.length === 0) return undefined;
  const metric = rows[0].metric in rows[0].test ? rows[0].metric : Object.keys(rows[0].test)[0];
  // Tasks name what needs no model in their own way: majority class, mean of train, O for every word.
  const trivial = Object.keys(rows.find(({ baselines }) => baselines)?.baselines ?? {}).find(
    (title) => !title.includes("logistic"),
  );
  const valuesOf = (metric) => {
    const baseline = (title) =>
      rows.flatMap((row) =>
        row.baselines?.[title]?.[metric] === undefined ? [] : [row.baselines[title][metric]],
      );
    return {
      metric,
      scores: rows.map((row) => row.test[metric]),
      trivial: baseline(trivial),
      tfidf: baseline("TF-IDF + logistic regression"),
      frozen: baseline("frozen embeddings + logistic regression"),
    };
  };
  const { train, test, label, labelPattern } = parse(readFileSync(join(root, recipe), "utf8")).data ?? {};
  return {
    recipe,
    name,
    rows,
    ...valuesOf(metric),
    shown: (scores ?? [metric]).map(valuesOf),
    data: JSON.stringify([metric, train, test, label, labelPattern]),
  };
}

const link = ({ name, recipe }) => `[${name}](../${recipe})`;
const pointsIfAny = (values) => (values.length === 0 ? "" : points(values));

/** A row for each score that the plan shows; that of the recipe's choice otherwise. */
function resultRows(summary) {
  const { rows, shown } = summary;
  const { trainable, precision } = rows[0];
  return shown.map(({ metric, scores, trivial, tfidf, frozen }) => [
    ...[link(summary), metric, points(scores), rows.length, ...[trivial, tfidf, frozen].map(pointsIfAny)],
    ...[trainable.toLocaleString("en"), Math.round(mean(rows.map(({ seconds }) => seconds))), precision],
  ]);
}

/** A recipe that names nothing but its data, beside our best recipe for the same data and the frozen baseline. */
function defaultRow(summary, summaries) {
  const [best] = summaries
    .filter(({ data }) => data === summary.data)
    .sort((a, b) => mean(b.scores) - mean(a.scores));
  const own = mean(summary.scores);
  const behind = mean(best.scores) - own;
  const aboveFrozen = own - mean(summary.frozen);
  const verdict = [
    ...(behind > 0.02 ? ["more than 2 points behind our best"] : []),
    ...(aboveFrozen < 0 ? ["below the frozen embeddings"] : []),
  ];
  return [
    ...[link(summary), points(summary.scores), `${points(best.scores)} (${link(best)})`],
    ...[points(summary.frozen), verdict.length === 0 ? "yes" : `no: ${verdict.join(", ")}`],
  ];
}

const twinRow = ({
  set,
  backbone = "minilm",
  reference,
  dtype,
  method = "p-tuning-v2",
  steps,
  firstLosses,
  dev,
}) => [
  ...[set, backbone, method],
  `${reference === "peft" ? "PEFT" : "plain PyTorch"}${dtype ? ` in ${dtype}` : ""}`,
  ...[steps, firstLosses.count],
  firstLosses.greatestDifference.toExponential(1),
  `${(100 * dev.agreement).toFixed(1)} % of ${dev.rows.toLocaleString("en")}`,
];

/** Rewrites the tables between their marks. */
export function writeReadme(plan) {
  const summaries = plan.flatMap((entry) => summarize(entry) ?? []);
  const tables = {
    table: [
      "recipe | score on test | ptuning | seeds | trivial | TF-IDF + LR | frozen embeddings + LR | trainable | seconds | precision",
      "--- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---",
      ...summaries.flatMap(resultRows).map((cells) => cells.join(" | ")),
    ],
    defaults: [
      "data | defaults | our best recipe | frozen embeddings + LR | defaults are good",
      "--- | ---: | ---: | ---: | ---",
      ...summaries
        .filter(({ recipe }) => recipe.startsWith("recipes/defaults/"))
        .map((summary) => defaultRow(summary, summaries).join(" | ")),
    ],
    twins: [
      "data | backbone | method | beside | steps | first losses | greatest difference | equal dev predictions",
      "--- | --- | --- | --- | ---: | ---: | ---: | ---",
      ...rowsOf("twins").map((row) => twinRow(row).join(" | ")),
    ],
  };
  const path = join(folder, "README.md");
  const text = Object.entries(tables).reduce(
    (readme, [mark, lines]) =>
      readme.replace(
        new RegExp(`(<!-- ${mark} -->)[^]*(<!-- /${mark} -->)`),
        (_, start, end) => `${start}\n\n${lines.map((line) => `| ${line} |`).join("\n")}\n\n${end}`,
      ),
    readFileSync(path, "utf8"),
  );
  writeFileSync(path, text);
}
