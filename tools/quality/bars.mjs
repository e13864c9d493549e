/** What the grid is held against, over the cells of the blocks that count. */
import { mean, spread } from "../results-table.mjs";

const ours = "ours";
const simplest = "LR, last layer";
/** Points that ours may be behind the best rival in the mean. */
const slack = 0.005;
/** Standard errors that a cell may be below the simplest answer. */
const errors = 2;
/** Shares of a rival's time, with 64 rows per label. */
const timeLimits = { SetFit: 1 / 3, "LoRA (PEFT)": 1 / 2 };
const timedRows = 64;

const meanOf = ({ scores }) => mean([...scores.values()]);

/** Means of one contender and of another over the cells that the other answers. */
function beside(cells, name, other) {
  const both = cells.filter(({ results }) => results.has(name) && results.has(other));
  if (both.length === 0) return undefined;
  const over = (contender) => mean(both.map(({ results }) => meanOf(results.get(contender))));
  return { name: other, cells: both.length, ours: over(name), theirs: over(other) };
}

/** Difference to the simplest answer in a cell, over seeds that both have: its mean and standard error. */
function pairedDifference({ name, results }) {
  const [a, b] = [results.get(ours)?.scores, results.get(simplest)?.scores];
  const differences = [...(a ?? [])].flatMap(([seed, score]) => (b?.has(seed) ? [score - b.get(seed)] : []));
  if (differences.length < 2) return undefined;
  const { mean: difference, deviation } = spread(differences);
  return { cell: name, difference, error: deviation / Math.sqrt(differences.length) };
}

/**
 * @param cells as `summarize` gives them
 * @returns {whole, best, others, rivals, below, times}; what there are no rows for is absent
 */
export function evaluateBars(plan, cells) {
  const counted = cells.filter(({ bars }) => bars);
  const names = Object.entries(plan.contenders);
  const rivals = names.flatMap(([name, { role }]) =>
    role === "rival" ? (beside(counted, ours, name) ?? []) : [],
  );
  const best = rivals.reduce((a, b) => (a === undefined || b.theirs > a.theirs ? b : a), undefined);
  const differences = counted.flatMap((cell) => pairedDifference(cell) ?? []);
  const times = Object.entries(timeLimits).flatMap(([name, limit]) => {
    const both = counted.filter(
      ({ rows, results }) => rows === timedRows && results.has(ours) && results.has(name),
    );
    if (both.length === 0) return [];
    const total = (contender) => both.reduce((sum, { results }) => sum + results.get(contender).seconds, 0);
    const shares = both.map((cell) => ({
      cell: cell.name,
      share: cell.results.get(ours).seconds / cell.results.get(name).seconds,
    }));
    const worst = shares.reduce((a, b) => (b.share > a.share ? b : a));
    const share = total(ours) / total(name);
    return [{ name, limit, share, worst, met: share <= limit }];
  });
  return {
    whole: { cells: counted.filter(({ whole }) => whole).length, of: counted.length },
    rivals,
    others: names.flatMap(([name, { role }]) =>
      role === "rival" || name === ours ? [] : (beside(counted, ours, name) ?? []),
    ),
    ...(best && { best: { ...best, met: best.ours >= best.theirs - slack } }),
    ...(differences.length > 0 && {
      below: differences.filter(({ difference, error }) => difference < -errors * error),
      compared: differences.length,
    }),
    times,
  };
}

const inPoints = (share) => (100 * share).toFixed(1);
const signed = (share) => `${share < 0 ? "−" : "+"}${inPoints(Math.abs(share))}`;
const verdict = (met) => (met ? "met" : "**not met**");

/** The same as Markdown. */
export function describeBars({ whole, rivals, others, best, below, compared, times }) {
  if (rivals.length + others.length === 0) return "No rows yet.";
  const lines = [
    best &&
      `- In the mean, at least the best rival − 0.5: ${verdict(best.met)}. ${best.name} has ${inPoints(best.theirs)} over the ${best.cells} cells that it answers, ours ${inPoints(best.ours)}.`,
    below &&
      `- In no cell more than two standard errors below logistic regression on the last layer (differences by seed): ${verdict(below.length === 0)}.${below.map(({ cell, difference, error }) => ` ${cell}: ${signed(difference)} ± ${inPoints(error)}.`).join("")} ${compared} cells.`,
    ...times.map(
      ({ name, limit, share, worst, met }) =>
        `- Time of ours with 64 rows per label, at most ${limit.toFixed(2)} of that of ${name}: ${verdict(met)}. ${share.toFixed(2)} over all cells; most in ${worst.cell}, ${worst.share.toFixed(2)}.`,
    ),
  ].filter(Boolean);
  const rows = [...rivals, ...others].map(
    ({ name, cells, ours: own, theirs }) =>
      `| ${name} | ${cells} | ${inPoints(theirs)} | ${inPoints(own)} | ${signed(own - theirs)} |`,
  );
  const state =
    whole.cells === whole.of
      ? `All ${whole.of} cells that count are whole.`
      : `**${whole.cells} of the ${whole.of} cells that count are whole**: what follows is not final.`;
  return [
    state,
    lines.join("\n"),
    "Means over the cells that count and that both have rows of:\n\n" +
      `| contender | cells | its mean | ours | difference |\n| --- | ---: | ---: | ---: | ---: |\n${rows.join("\n")}`,
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}
