/** The grid of results/quality.yaml: its order, what holds of it, and what its rows say together; nothing is trained here. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRunConfig } from "ptuning/internal/config";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { evaluateBars } from "../../tools/quality/bars.mjs";
import { drawTest, drawTrain, fingerprintOf, readSet, withoutAnswer } from "../../tools/quality/data.mjs";
import { configOf, scoreOf } from "../../tools/quality/execute.mjs";
import {
  cellsOf,
  contendersOf,
  currentRows,
  fasterPrecision,
  type GridPlan,
  type GridRow,
  missingRuns,
  precisionsOf,
  readPlan,
  specOf,
} from "../../tools/quality/plan.mjs";
import { appendRow, readRows } from "../../tools/quality/rows.mjs";
import { summarize, writeSummary } from "../../tools/quality/summary.mjs";
import { repository } from "../support/requirements.ts";

const grid = readPlan();

describe("the plan", () => {
  const cells = cellsOf(grid);

  test("cells come in their order, each once", () => {
    const names = cells.map(({ name }) => name);
    expect(names.slice(0, 13)).toEqual([
      ...["bundled", "trec", "sst2", "snips", "conll04"].flatMap((set) => [
        `minilm/${set}/8`,
        `minilm/${set}/64`,
      ]),
      ...["trec", "sst2", "conll04"].map((set) => `mpnet/${set}/64`),
    ]);
    expect(names[13]).toBe("minilm/trec/all");
    expect(new Set(names).size).toBe(names.length);
    // Eight sets, two backbones, three sizes; the bundled example with 64 rows per label is whole.
    expect(names.length).toBe(8 * 2 * 3 - 2);
  });

  test("bars are read over the first two blocks; seeds are five with few rows and three with all", () => {
    expect(cells.filter(({ bars }) => bars).map(({ name }) => name)).toEqual(
      cells.slice(0, 13).map(({ name }) => name),
    );
    for (const { name, rows, seeds } of cells) {
      const inSecond = ["mpnet/trec/64", "mpnet/sst2/64", "mpnet/conll04/64"].includes(name);
      expect(seeds.length, name).toBe(rows === "all" || inSecond ? 3 : 5);
    }
  });

  test("every contender answers what it can, with names of the backbone's own layers", () => {
    const named = (name: string) =>
      contendersOf(grid, cells.find((cell) => cell.name === name)!).map((contender) => contender.name);
    expect(named("minilm/trec/8")).toEqual(Object.keys(grid.contenders));
    expect(named("minilm/cb/8")).toEqual(Object.keys(grid.contenders).slice(1));
    expect(named("mpnet/conll04/64")).not.toContain("SetFit");
    for (const { name, backbone } of cells) {
      const [lora] = contendersOf(grid, cells.find((cell) => cell.name === name)!).filter(
        (contender) => contender.environment === "lora",
      );
      expect(lora!.settings!.targets).toEqual(
        backbone === "mpnet" ? ["attn.q", "attn.v"] : ["query", "value"],
      );
      expect(existsSync(join(repository, "tools/quality", lora!.program!))).toBe(true);
    }
  });

  test("every run of ours has a valid configuration with its own rows and seed, and no test data", () => {
    for (const cell of cells) {
      for (const contender of contendersOf(grid, cell).filter(({ role }) => role === "ours")) {
        const given = { contender, cell, seed: 13, threads: 2, folder: "/tmp/a", rows: 384 };
        const text = stringify(configOf(given));
        const config = parseRunConfig({ text, where: cell.name });
        expect(config, cell.name).toMatchObject({
          ...{ backbone: cell.backbone, training: { seed: 13 } },
          data: { train: "/tmp/a/train.jsonl" },
        });
        expect(text).not.toContain("test.jsonl");
      }
    }
  });

  test("the settings of before are spelled out: 11 updates a pass of 384 rows, 30 passes at most", () => {
    const cell = cells.find(({ name }) => name === "minilm/conll04/64")!;
    const contender = contendersOf(grid, cell).find(({ name }) => name === "ours, as before")!;
    const spelledOut = (rows: number) =>
      configOf({ contender, cell, seed: 11, threads: 2, folder: "/tmp/a", rows });
    expect(spelledOut(384)).toMatchObject({
      method: { promptLength: 64 },
      training: { learningRate: 0.03, epochs: 30 },
      task: { decoding: "argmax" },
    });
    // 4,907 of 5,452 rows are trained on: 154 updates a pass.
    expect(spelledOut(5452)).toMatchObject({ training: { epochs: 10 } });
    expect(spelledOut(13_084)).toMatchObject({ training: { epochs: 4 } });
  });
});

/** Two cells that count, of texts and of tags. */
const plan: GridPlan = {
  test: { rows: 1000, seed: 97 },
  seeds: [1, 2, 3],
  sets: {
    texts: { kind: "text", recipe: "texts.yaml", score: "accuracy" },
    names: { kind: "tags", recipe: "names.yaml", score: "f1" },
  },
  blocks: [
    { name: "few", bars: true, backbones: ["minilm"], sets: ["texts", "names"], rows: [64], seeds: 2 },
    { name: "many", backbones: ["minilm"], sets: ["texts"], rows: [64, "all"], seeds: 1 },
  ],
  contenders: {
    SetFit: { role: "rival", answers: ["text"], precisions: ["fp32", "bf16"], program: "a.py", settings: {} },
    "LoRA (PEFT)": {
      ...{ role: "rival", answers: ["text", "tags"], precisions: ["fp32"], program: "b.py" },
      settings: { rate: 1 },
      settingsFor: { minilm: { targets: ["q"] } },
    },
    "LR, last layer": { role: "simple", answers: ["text", "tags"], precisions: ["fp32"], program: "c.py" },
    ours: { role: "ours", answers: ["text", "tags"], config: {} },
  },
};
const recipeOf = (recipe: string) => ({ data: { train: recipe }, task: {} });
const cellNamed = (name: string, of = plan) => cellsOf(of).find((cell) => cell.name === name)!;

function row(
  cell: string,
  contender: string,
  seed: number,
  given: Partial<GridRow> = {},
  of = plan,
): GridRow {
  const place = cellNamed(cell, of);
  const named = contendersOf(of, place).find(({ name }) => name === contender)!;
  return {
    ...{ cell, contender, seed, score: 0.5, seconds: 10 },
    precision: precisionsOf(named, true)[0]!,
    spec: specOf(of, place, named, recipeOf(of.sets[place.set]!.recipe)),
    data: { train: `train ${cell} ${seed}`, test: "test" },
    ...{ commit: "c0ffee0", date: "2026-11-30", hardware: "a box", threads: 2, load: 0.5 },
    examples: { train: 64, test: 100 },
    ...given,
  };
}

describe("what is missing", () => {
  const cells = cellsOf(plan);
  const texts = "minilm/texts/64";
  const missing = (rows: readonly GridRow[], hasBf16 = true) =>
    missingRuns(plan, cells, rows, hasBf16).map(
      ({ cell, seed, contender, precision }) => `${cell} ${seed} ${contender} ${precision}`,
    );

  test("cell by cell, seed by seed; the first seed in every precision, the others in the faster one", () => {
    expect(missing([]).slice(0, 11)).toEqual([
      `${texts} 1 SetFit fp32`,
      `${texts} 1 SetFit bf16`,
      `${texts} 1 LoRA (PEFT) fp32`,
      `${texts} 1 LR, last layer fp32`,
      `${texts} 1 ours auto`,
      `${texts} 2 SetFit undefined`,
      `${texts} 2 LoRA (PEFT) fp32`,
      `${texts} 2 LR, last layer fp32`,
      `${texts} 2 ours auto`,
      "minilm/names/64 1 LoRA (PEFT) fp32",
      "minilm/names/64 1 LR, last layer fp32",
    ]);
    const first = [row(texts, "SetFit", 1, { seconds: 30 })];
    expect(missing(first)).toContain(`${texts} 2 SetFit undefined`);
    const both = [...first, row(texts, "SetFit", 1, { precision: "bf16", seconds: 20 })];
    expect(missing(both)[0]).toBe(`${texts} 1 LoRA (PEFT) fp32`);
    expect(missing(both)).toContain(`${texts} 2 SetFit bf16`);
    expect(missing(both)).not.toContain(`${texts} 2 SetFit fp32`);
  });

  test("a CPU without bf16 is not asked for it", () => {
    expect(missing([], false).filter((name) => name.includes("SetFit"))).toEqual([
      `${texts} 1 SetFit fp32`,
      `${texts} 2 SetFit fp32`,
      "minilm/texts/all 1 SetFit fp32",
    ]);
  });

  test("a grid that was stopped goes on behind its last row", async () => {
    const path = join(mkdtempSync(join(tmpdir(), "ptuning-grid-")), "rows.jsonl");
    expect(readRows(path)).toEqual([]);
    const whole = missing([], false);
    for (const seed of [1, 2]) {
      for (const { name } of contendersOf(plan, cellNamed(texts))) {
        await appendRow(path, row(texts, name, seed));
        const { rows } = currentRows(plan, readRows(path), { recipeOf });
        expect(missing(rows, false)).toEqual(whole.slice(rows.length));
      }
    }
    expect(readFileSync(path, "utf8").match(/\n/g)).toHaveLength(8);
  });
});

describe("which rows hold", () => {
  const rows = [row("minilm/texts/64", "SetFit", 1), row("minilm/texts/64", "LoRA (PEFT)", 1)];
  const holding = (of: GridPlan, options = {}) =>
    currentRows(of, rows, { recipeOf, ...options }).rows.map(({ contender }) => contender);

  test("of what has changed in the plan none does, of all else every one", () => {
    expect(holding(plan)).toEqual(["SetFit", "LoRA (PEFT)"]);
    const other = structuredClone(plan) as unknown as {
      contenders: Record<string, { settings: object }>;
      test: { rows: number };
    };
    other.contenders["LoRA (PEFT)"]!.settings = { rate: 2 };
    expect(holding(other as unknown as GridPlan)).toEqual(["SetFit"]);
    other.test.rows = 500;
    expect(holding(other as unknown as GridPlan)).toEqual([]);
    expect(holding(plan, { recipeOf: () => ({ data: { train: "other" }, task: {} }) })).toEqual([]);
    const { contenders } = plan;
    const more = { ...plan, contenders: { ...contenders, more: contenders.ours! } };
    expect(holding(more)).toEqual(["SetFit", "LoRA (PEFT)"]);
  });

  test("rows of other data do not count, and are said", () => {
    const fingerprints = (cell: string, seed: number) => ({ train: `train ${cell} ${seed}`, test: "other" });
    expect(currentRows(plan, rows, { recipeOf, fingerprints })).toEqual({ rows: [], ofOtherData: 2 });
    const same = (cell: string, seed: number) => ({ train: `train ${cell} ${seed}`, test: "test" });
    expect(currentRows(plan, rows, { recipeOf, fingerprints: same })).toEqual({ rows, ofOtherData: 0 });
  });

  test("a contender is made anew at another commit where that is asked for; the last row of a run holds", () => {
    const renewed = ["SetFit"];
    expect(holding(plan, { renewed, commit: "f00f00f" })).toEqual(["LoRA (PEFT)"]);
    expect(holding(plan, { renewed, commit: "c0ffee0" })).toEqual(["SetFit", "LoRA (PEFT)"]);
    const again = row("minilm/texts/64", "SetFit", 1, { score: 0.9 });
    expect(currentRows(plan, [...rows, again], { recipeOf }).rows[0]!.score).toBe(0.9);
  });
});

/** Every run of the cells that count, with scores and seconds by contender. */
const full = (scores: Record<string, readonly number[]>, seconds: Record<string, number>): GridRow[] =>
  cellsOf(plan)
    .filter(({ bars }) => bars)
    .flatMap((cell) =>
      contendersOf(plan, cell).flatMap(({ name }) =>
        cell.seeds.map((seed, i) =>
          row(cell.name, name, seed, { score: scores[name]![i]!, seconds: seconds[name]! }),
        ),
      ),
    );

describe("the summary", () => {
  const scores = {
    SetFit: [0.8, 0.9],
    "LoRA (PEFT)": [0.7, 0.8],
    "LR, last layer": [0.6, 0.7],
    ours: [0.85, 0.83],
  };
  const seconds = { SetFit: 90, "LoRA (PEFT)": 60, "LR, last layer": 5, ours: 30 };

  test("means, deviations, the faster precision", () => {
    const slow = row("minilm/texts/64", "SetFit", 1, { precision: "bf16", score: 0.1, seconds: 200 });
    const [texts, names, all] = summarize(plan, [...full(scores, seconds), slow]);
    expect(texts!.whole).toBe(true);
    expect(names!.results.has("SetFit")).toBe(false);
    expect(all!.whole).toBe(false);
    expect(texts!.results.get("SetFit")).toMatchObject({ precision: "fp32", seconds: 90 });
    expect([...texts!.results.get("SetFit")!.scores]).toEqual([
      [1, 0.8],
      [2, 0.9],
    ]);
    expect(fasterPrecision([slow], ["fp32", "bf16"])).toBeUndefined();
  });

  test("the page has them", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ptuning-grid-"));
    const page = await writeSummary(plan, full(scores, seconds), folder);
    expect(page).toContain("| minilm/texts/64 | 85.0 ± 7.1 | 75.0 ± 7.1 | 65.0 ± 7.1 | 84.0 ± 1.4 |");
    expect(page).toContain("| minilm/names/64 |  | 60 | 5.0 | 30 |");
    expect(page).toContain("All 2 cells that count are whole.");
    expect(page).not.toContain("## many");
    expect(readFileSync(join(folder, "figure.svg"), "utf8")).toMatch(/^<svg/);
    expect(await writeSummary(plan, [], folder)).toContain("No rows yet.");
  });

  test("rows of one cell that are of different data are refused", () => {
    const rows = full(scores, seconds);
    const other = { ...rows[0]!, data: { train: "other", test: "test" } };
    expect(() => summarize(plan, [other, ...rows.slice(1)])).toThrow(
      /minilm\/texts\/64: expected rows of one data set for seed 1, got 2/,
    );
  });
});

describe("the bars", () => {
  const barsOf = (scores: Record<string, readonly number[]>, seconds: Record<string, number>) =>
    evaluateBars(plan, summarize(plan, full(scores, seconds)));
  const seconds = { SetFit: 90, "LoRA (PEFT)": 60, "LR, last layer": 5, ours: 30 };
  const lr = { "LR, last layer": [0.6, 0.7] };

  test("ours may be half a point behind the best rival, over the cells that this one answers", () => {
    const of = (ours: number) =>
      barsOf({ SetFit: [0.9, 0.8], "LoRA (PEFT)": [0.7, 0.7], ...lr, ours: [ours, ours] }, seconds);
    expect(of(0.846).best).toMatchObject({ name: "SetFit", cells: 1, met: true });
    expect(of(0.844).best).toMatchObject({ met: false });
    expect(of(0.844).rivals.map(({ name, cells }) => [name, cells])).toEqual([
      ["SetFit", 1],
      ["LoRA (PEFT)", 2],
    ]);
  });

  test("below the simplest answer is more than two standard errors of the differences by seed", () => {
    const of = (ours: readonly number[]) =>
      barsOf({ SetFit: [0.9, 0.8], "LoRA (PEFT)": [0.7, 0.7], ...lr, ours }, seconds).below!;
    // Differences −0.05 and −0.03: −0.04 ± 0.01.
    expect(of([0.55, 0.67]).map(({ cell }) => cell)).toEqual(["minilm/texts/64", "minilm/names/64"]);
    expect(of([0.55, 0.67])[0]!.difference).toBeCloseTo(-0.04, 10);
    expect(of([0.55, 0.67])[0]!.error).toBeCloseTo(0.01, 10);
    // −0.10 and +0.04: −0.03 ± 0.07.
    expect(of([0.5, 0.74])).toEqual([]);
    expect(of([0.65, 0.75])).toEqual([]);
  });

  test("time is a third of SetFit's and half of LoRA's, over the cells of 64 that they answer", () => {
    const scores = { SetFit: [0.9, 0.8], "LoRA (PEFT)": [0.7, 0.7], ...lr, ours: [0.9, 0.9] };
    expect(barsOf(scores, seconds).times.map(({ name, share, met }) => [name, share, met])).toEqual([
      ["SetFit", 30 / 90, true],
      ["LoRA (PEFT)", 0.5, true],
    ]);
    const slower = barsOf(scores, { ...seconds, ours: 31 });
    expect(slower.times.map(({ met }) => met)).toEqual([false, false]);
    expect(slower.whole).toEqual({ cells: 2, of: 2 });
  });
});

describe("data", () => {
  test("the bundled example: whole for training, rows per label by seed, a test without answers", async () => {
    const set = await readSet(grid.sets.bundled!);
    expect([set.train.length, set.test.length]).toEqual([400, 200]);
    expect(drawTrain(set, "all", 11)).toBe(set.train);
    const drawn = drawTrain(set, 8, 11);
    const labels = drawn.map(({ label }) => label!);
    expect([...new Set(labels)].map((label) => labels.filter((one) => one === label).length)).toEqual(
      new Array(8).fill(8),
    );
    expect(drawTrain(set, 8, 11)).toEqual(drawn);
    expect(drawTrain(set, 8, 12)).not.toEqual(drawn);
    const test = drawTest(set, { rows: 50, seed: 97 });
    expect(test.length).toBe(50);
    expect(drawTest(set, { rows: 50, seed: 97 })).toEqual(test);
    expect(drawTest(set, { rows: 50, seed: 98 })).not.toEqual(test);
    expect(drawTest(set, { rows: 200, seed: 97 })).toEqual(set.test);
    expect(Object.keys(withoutAnswer(test[0]!))).toEqual(["text"]);
    expect(withoutAnswer({ words: ["a"], tags: ["O"] })).toEqual({ words: ["a"] });
    const { train, test: of } = fingerprintOf(drawn, test);
    expect(fingerprintOf(drawn, test.slice(1))).toMatchObject({ train });
    expect(fingerprintOf(drawn, test.slice(1)).test).not.toBe(of);
  });
});

test("answers are scored alike, and one is wanted for each row", () => {
  const rows = [{ label: "a" }, { label: "b" }, { label: "b" }, { label: "c" }];
  expect(scoreOf("accuracy", ["a", "b", "a", "never seen"], rows)).toBe(0.5);
  const words = [{ words: ["x", "y", "z"], tags: ["B-A", "I-A", "O"] }];
  expect(scoreOf("f1", [["B-A", "I-A", "B-B"]], words)).toBeCloseTo(2 / 3, 10);
  expect(() => scoreOf("accuracy", ["a"], rows)).toThrow(/expected 4, one for each test row, got 1/);
});

test("what the command is told is checked before anything is built", () => {
  const folder = mkdtempSync(join(tmpdir(), "ptuning-grid-"));
  for (const [args, message] of [
    [["--hours", "none"], "--hours: expected a number above 0, got none."],
    [["--renew", "theirs"], "got theirs."],
  ] as const) {
    const program = join(repository, "tools/quality.mjs");
    const { status, stderr } = spawnSync(process.execPath, [program, ...args], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  }
});
