/** The recipes of the paper's tables run as they are: only weights and data are small ones. */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { parseConfig } from "ptuning/internal/config";
import { afterAll, describe, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { writePaperData } from "../support/paper-data.ts";
import { repository } from "../support/requirements.ts";
import { lmHeadNames, writeTinyBackbone, writeTinyRoberta } from "../support/tiny.ts";

const recipes = join(repository, "recipes/paper");
const paths = readdirSync(recipes, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".yaml"))
  .sort();

const folder = mkdtempSync(join(tmpdir(), "ptuning-paper-"));
writePaperData(folder);
/** As many positions as the real ones have: prompts of the paper are long. */
const size = { positions: 512 };
const backbones: Readonly<Record<string, string>> = {
  "google-bert/bert-large-cased": writeTinyBackbone(join(folder, "bert"), 1, size),
  "google-bert/bert-large-uncased": join(folder, "bert"),
  "FacebookAI/roberta-large": writeTinyRoberta(join(folder, "roberta"), 1, {
    ...size,
    lmHead: lmHeadNames.roberta,
  }),
};
afterAll(() => rm(folder, { recursive: true }));

const text = (path: string): string => readFileSync(join(recipes, path), "utf8");
const config = (path: string) => parseConfig({ text: text(path), where: path });

test("there is one for each group of cells", () => {
  const names = (table: string): string[] => [
    ...new Set(paths.filter((path) => dirname(path) === table).map((path) => basename(path, ".yaml"))),
  ];
  const both = (sets: readonly string[]): string[] =>
    sets.flatMap((set) => [`${set}-bert-large`, `${set}-roberta-large`]).sort();
  expect(names("table2")).toEqual(both(["boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc"]));
  expect(names("table4")).toEqual(["boolq", "cb", "rte", "sst2"]);
  expect(names("table3")).toEqual(
    both(["conll03", "ontonotes", "conll04", "squad1", "squad2", "conll12", "conll05-wsj", "conll05-brown"]),
  );
});

/** `run_script/` of the reference: learning rate, batch, dropout, prompt length, epochs, seed. */
const published: Readonly<Record<string, readonly number[]>> = {
  "table2/boolq-bert-large": [5e-3, 32, 0.1, 40, 100, 11],
  "table2/boolq-roberta-large": [7e-3, 32, 0.1, 8, 100, 11],
  "table2/copa-bert-large": [1e-2, 16, 0.1, 16, 80, 44],
  "table2/copa-roberta-large": [9e-3, 16, 0.1, 8, 120, 11],
  "table2/rte-bert-large": [1e-2, 32, 0.1, 20, 60, 11],
  "table2/rte-roberta-large": [5e-3, 32, 0.1, 128, 100, 11],
  "table2/wic-bert-large": [1e-4, 16, 0.1, 20, 80, 44],
  "table2/wic-roberta-large": [1e-2, 32, 0.1, 8, 50, 11],
  "table2/wsc-bert-large": [5e-3, 16, 0.1, 20, 80, 44],
  "table2/wsc-roberta-large": [1e-2, 16, 0.1, 8, 10, 44],
  "table3/conll03-roberta-large": [3e-2, 16, 0.1, 11, 30, 11],
  "table3/conll04-bert-large": [2e-2, 32, 0.2, 128, 40, 11],
  "table3/conll04-roberta-large": [6e-2, 32, 0.1, 144, 80, 11],
  "table3/ontonotes-bert-large": [1e-2, 16, 0.1, 16, 30, 11],
  "table3/ontonotes-roberta-large": [7e-3, 16, 0.1, 48, 60, 14],
  "table3/conll12-bert-large": [5e-3, 16, 0.1, 128, 45, 11],
  "table3/conll12-roberta-large": [5e-3, 32, 0.1, 64, 45, 11],
  "table3/conll05-wsj-roberta-large": [6e-3, 16, 0.1, 224, 15, 11],
  "table3/conll05-brown-roberta-large": [6e-3, 16, 0.1, 224, 15, 11],
  "table3/squad1-roberta-large": [5e-3, 8, 0.2, 16, 30, 11],
  "table3/squad2-roberta-large": [5e-3, 8, 0.2, 8, 10, 11],
};

test.each(Object.entries(published))("%s has the published settings", (name, expected) => {
  const { preset, method, training, data } = config(`${name}.yaml`);
  const { learningRate, batchSize, hiddenDropout, epochs, seed } = training;
  const promptLength = method.name === "p-tuning-v2" ? method.promptLength : undefined;
  expect([learningRate, batchSize, hiddenDropout, promptLength, epochs, seed]).toEqual(expected);
  const isWic = name === "table2/wic-bert-large";
  expect(preset).toBe("thudm");
  expect(method).toEqual({
    ...{ name: "p-tuning-v2", promptLength },
    ...(isWic && { reparameterization: "mlp" }),
  });
  expect(data.template).toBe(isWic ? 1 : undefined);
  // The reference's trainer of tables 3 multiplies the rate by 0.95 after each epoch.
  expect(training.schedule).toBe(name.startsWith("table3") ? "exponential" : undefined);
});

test("where no script was released, the recipe says so; every recipe says what it is for and how it runs", () => {
  for (const path of paths) {
    const head = text(path).replaceAll("\n# ", " ");
    const name = path.replace(/\.yaml$/, "");
    if (!path.startsWith("table4")) {
      expect(/No script was released/.test(head), path).toBe(!(name in published));
    }
    expect(head, path).toContain(`ptuning compare recipes/paper/${path} `);
  }
});

describe("a dry run of each", () => {
  test.concurrent.each(paths)(
    "%s",
    async (path) => {
      const backbone = backbones[config(path).backbone]!;
      const args = ["--dry-run", "--json", "--threads", "1", "--backbone", backbone];
      const { code, stdout, stderr } = await ptuning(["train", join(recipes, path), ...args], {
        cwd: folder,
      });
      expect(stderr).toBe("");
      expect(code).toBe(0);
      const events = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(events.find(({ type }) => type === "start")).toMatchObject({
        type: "start",
        examples: { train: expect.any(Number) },
      });
      expect(events.at(-1)).toMatchObject({ type: "dry-run", secondsPerStep: expect.any(Number) });
    },
    180_000,
  );
});
