import { rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { formatConfig, type RunConfig, redact } from "../config/index.ts";
import { describeMachine } from "../engine/index.ts";
import { packageVersion, writeFileAtomic } from "../files/index.ts";
import { type HeatMap, renderSearch, type SearchReport, searchMarkdown } from "../report/index.ts";
import { type FinishedTrial, objective, type Trial, type TrialResult } from "../trials/index.ts";
import { names, type SweepFolder } from "./folder.ts";
import { importances } from "./importance.ts";
import { levelsOf, valueText } from "./levels.ts";
import type { Point } from "./space.ts";

/** A trial and what it came to. */
interface TriedTrial {
  readonly trial: Trial;
  readonly result: TrialResult;
}

/** What the results of a sweep are made from. */
interface SweepParts {
  readonly folder: SweepFolder;
  readonly config: RunConfig;
  readonly strategy: string;
  /** Keys that vary. */
  readonly keys: readonly string[];
  readonly trials: readonly TriedTrial[];
  readonly seconds: number;
  /** Key of what successive halving gives more and more of. */
  readonly resource?: string;
}

/** Keys that the map shows where they vary. */
const mapKeys = ["training.learningRate", "method.promptLength"] as const;

/** Writes the best configuration, tables, the heat map and the page. @returns names of the files */
export async function writeSweep(
  parts: SweepParts,
): Promise<{ report: SearchReport; files: readonly string[] }> {
  const { config } = parts;
  const { folder } = parts.folder;
  const report = redact(reportOf(parts));
  const { html, svg } = await renderSearch(report);
  const [bestId] = report.ranking;
  const best = parts.trials.find(({ trial }) => trial.id === bestId)?.trial.config;
  const contents: readonly (readonly [name: string, content: string | undefined])[] = [
    [
      names.best,
      best && formatConfig({ ...best, engine: config.engine, report: { html: true, tensorboard: true } }),
    ],
    [names.json, `${JSON.stringify(report, null, 2)}\n`],
    [names.markdown, searchMarkdown(report, svg && names.map)],
    [names.map, svg],
    [names.html, html],
  ];
  const files: string[] = [];
  for (const [name, content] of contents) {
    // What an earlier, smaller search had may not be there any more.
    if (content === undefined) await rm(join(folder, name), { force: true });
    else {
      await writeFileAtomic(join(folder, name), content);
      files.push(name);
    }
  }
  return { report, files };
}

interface Scored {
  readonly point: Point;
  readonly result: FinishedTrial;
  /** Higher is better. */
  readonly score: number;
}

function reportOf({ folder, config, strategy, keys, trials, seconds, resource }: SweepParts): SearchReport {
  const scored = trials.flatMap(({ trial, result }): Scored[] => {
    const score = objective(result);
    return result.status === "failed" || score === undefined
      ? []
      : [{ point: trial.overrides, result, score }];
  });
  const first = scored[0]?.result;
  // On a rung with little of the resource all are worse: only one rung says what the other keys do.
  const rung = resource === undefined ? scored : lowestRung(scored, resource);
  const compared = keys.filter((key) => key !== resource);
  const importance =
    rung.length < 3
      ? []
      : importances(
          compared,
          rung.map(({ point, score }) => ({ point, score })),
        );
  const heatMap = first && mapOf(mapAxes(compared, importance), scored, first.lowerIsBetter);
  const precisions = new Set(scored.map(({ result }) => result.precision));
  const failures = trials.length - scored.length;
  const notes = [
    ...(resource ? [`Importance is told from the first rung, with the least ${resource}.`] : []),
    ...(failures > 0 ? [`${failures} trials have no score.`] : []),
    ...(precisions.size > 1
      ? [
          "Trials ran with frozen layers of different precision: set training.precision to compare them fairly.",
        ]
      : []),
    ...(scored.length > 1
      ? ["The best of many dev scores is too good: the test score of the best trial is the one to report."]
      : []),
  ];
  return {
    title: basename(resolve(folder.folder)),
    task: config.task.type ?? "",
    backbone: config.backbone,
    strategy,
    ...(first && { score: { name: first.selectBy, lowerIsBetter: first.lowerIsBetter } }),
    keys,
    trials: trials.map(({ trial: { id, overrides }, result }) => ({
      id,
      values: Object.fromEntries(keys.map((key) => [key, valueText(overrides[key])])),
      ...(result.status === "failed"
        ? { error: result.error }
        : {
            ...(result.dev && { dev: result.dev }),
            ...(result.test && { test: result.test }),
            trainable: result.trainableTotal,
            seconds: result.seconds,
            precision: result.precision,
          }),
    })),
    ranking: rankingOf(scored, resource),
    importance,
    ...(heatMap && { heatMap }),
    seconds,
    notes,
    hardware: describeMachine(),
    createdAt: new Date().toISOString(),
    version: packageVersion(),
  };
}

/** From the best to the worst; equal scores by the dev loss. More of the resource comes first: it is the later rung. */
function rankingOf(scored: readonly Scored[], resource: string | undefined): string[] {
  const given = ({ point }: Scored): number => (resource === undefined ? 0 : Number(point[resource]));
  const loss = ({ result }: Scored): number => result.dev?.loss ?? 0;
  return scored
    .toSorted((a, b) => given(b) - given(a) || b.score - a.score || loss(a) - loss(b))
    .map(({ result }) => result.id);
}

function lowestRung(scored: readonly Scored[], resource: string): readonly Scored[] {
  const least = Math.min(...scored.map(({ point }) => Number(point[resource])));
  return scored.filter(({ point }) => Number(point[resource]) === least);
}

/** Learning rate and prompt length where both vary, else the two keys that matter most. */
function mapAxes(
  keys: readonly string[],
  importance: readonly { readonly key: string }[],
): readonly [string, string] | undefined {
  if (mapKeys.every((key) => keys.includes(key))) return mapKeys;
  const [first, second] = importance.length > 0 ? importance.map(({ key }) => key) : keys;
  return first === undefined || second === undefined ? undefined : [first, second];
}

function mapOf(
  axes: readonly [string, string] | undefined,
  scored: readonly Scored[],
  lowerIsBetter: boolean,
): HeatMap | undefined {
  if (axes === undefined) return undefined;
  const [x, y] = axes.map((key) => ({ key, ...levelsOf(scored.map(({ point }) => point[key])) }));
  const cells = new Map<string, HeatMap["cells"][number]>();
  for (const [i, { score }] of scored.entries()) {
    const place = { x: x!.names[x!.of[i]!]!, y: y!.names[y!.of[i]!]! };
    const name = JSON.stringify(place);
    const known = cells.get(name);
    const value = lowerIsBetter ? -score : score;
    const isBetter = known === undefined || (lowerIsBetter ? value < known.score : value > known.score);
    cells.set(name, { ...place, score: isBetter ? value : known.score, count: (known?.count ?? 0) + 1 });
  }
  return {
    x: { key: x!.key, levels: x!.names },
    y: { key: y!.key, levels: y!.names },
    cells: [...cells.values()],
  };
}
