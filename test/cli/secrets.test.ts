/** Secrets in the data of a run: nothing that gets published or logged holds them. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TextExample } from "ptuning/data";
import { nodeEngine } from "ptuning/engine";
import { type TrainOptions, train } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { cores, secrets } from "../support/secrets.ts";
import { tinyBackbone, tinyData, tinyExamples, tinyFolder, tinyOptions } from "../support/tiny.ts";

vi.setConfig({ testTimeout: 300_000 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-secrets-"));
});
afterAll(() => rm(folder, { recursive: true }));

const kinds = Object.values(secrets);
const quick = [
  ...["--backbone", tinyFolder, "--batch-size", "8", "--epochs", "1", "--prompt-length", "3"],
  ...["--set", "data.devShare=0.1"],
];

/** Files of a folder, and texts, that hold a secret. */
function leaks(place: string | undefined, ...texts: string[]): string[] {
  const found = texts.flatMap((text) => cores.filter((core) => text.includes(core)));
  if (place === undefined) return found;
  for (const name of readdirSync(place, { recursive: true, encoding: "utf8" })) {
    if (!statSync(join(place, name)).isFile()) continue;
    const text = readFileSync(join(place, name), "latin1");
    found.push(...cores.filter((core) => text.includes(core)).map((core) => `${name}: ${core}`));
  }
  return found;
}

const output = ({ stdout, stderr }: CliResult): string => stdout + stderr;

test("texts with secrets train; run folder, adapter, card, report and log hold none", async () => {
  const rows = kinds.flatMap((secret, i) =>
    ["yes", "no"].map((label) => JSON.stringify({ text: `w${i % 9} ${secret} w3`, label })),
  );
  await writeFile(join(folder, "texts.jsonl"), `${rows.join("\n")}\n`);
  const run = join(folder, "texts");
  const dev = ["--dev", "texts.jsonl", "--test", "texts.jsonl"];
  const trained = await ptuning(["train", "texts.jsonl", ...dev, ...quick, "--json", "-o", run], {
    cwd: folder,
  });
  expect(trained.code, trained.stderr).toBe(0);
  // Texts are quoted there, so that this test can fail.
  expect(readFileSync(join(run, "report.html"), "utf8")).toContain("***");
  expect(leaks(run, output(trained))).toEqual([]);
  const again = await ptuning(["report", run], { cwd: folder });
  expect(again.code, again.stderr).toBe(0);
  expect(leaks(run, output(again))).toEqual([]);
});

test("words with secrets, likewise", async () => {
  const words = kinds.filter((secret) => !/\s/.test(secret));
  const sentences = words.map((word, i) => `w${i % 9} O\n${word} ${i % 2 ? "B-PER" : "B-LOC"}\nw3 O\n`);
  await writeFile(join(folder, "words.conll"), sentences.join("\n"));
  const run = join(folder, "words");
  const trained = await ptuning(["train", "words.conll", "--dev", "words.conll", ...quick, "-o", run], {
    cwd: folder,
  });
  expect(trained.code, trained.stderr).toBe(0);
  expect(readFileSync(join(run, "report.html"), "utf8")).toContain("***");
  expect(leaks(run, output(trained))).toEqual([]);
});

test("a prediction gives a text back as it was", async () => {
  const secret = secrets.OpenAI!;
  const { stdout } = await ptuning(
    ["predict", join(folder, "texts"), secret, "--backbone", tinyFolder, "--json"],
    { cwd: folder },
  );
  expect(JSON.parse(stdout)).toMatchObject({ text: secret });
});

test.each(Object.entries(secrets))(
  "%s as a label is refused before anything is trained",
  async (_, secret) => {
    const engine = nodeEngine({ threads: 1 });
    try {
      const labels = [secret, "class 1"].sort();
      const examples: TextExample[] = tinyExamples(16, 1).map((one, i) => ({
        ...one,
        label: labels[i % 2]!,
      }));
      const options = tinyOptions(await tinyBackbone(engine), {
        data: { ...tinyData, train: examples, dev: [], labels },
        task: sequenceClassification({ labels }) as TrainOptions["task"],
      });
      const place = labels.indexOf(secret);
      await expect(train(options).next()).rejects.toMatchObject({
        code: "DATA_INVALID",
        message: expect.stringMatching(
          new RegExp(`^task\\.labels\\.${place}: expected no secret, got what looks like an? [\\w ]+\\.$`),
        ),
      });
    } finally {
      await engine.close();
    }
  },
);

test("nothing remains of a run whose labels, columns or place are secrets", async () => {
  const [label, column, place] = [secrets["GitHub classic"]!, secrets.npm!, secrets.Stripe!];
  const table = (head: string, first: string): string =>
    `${head}\n${Array.from({ length: 20 }, (_, i) => `w${i} w3 w2,${first}\nw${i} w5 w1,b\n`).join("")}`;
  await writeFile(join(folder, "label.csv"), table("text,label", label));
  await writeFile(join(folder, "column.csv"), table(`${column},label`, "a"));
  await writeFile(join(folder, "fine.csv"), table("text,label", "a"));
  const before = readdirSync(folder);
  for (const [...args] of [
    ["label.csv", "-o", "made"],
    ["column.csv", "-o", "made"],
    ["fine.csv", "-o", place],
    ["fine.csv", "-o", "made", "--set", `task.positive=${label}`],
    ["fine.csv", "-o", "made", "--set", `${label}=1`],
  ]) {
    const others =
      args[0] === "label.csv"
        ? [
            ["sweep", "--grid", "training.seed=1"],
            ["compare", "--methods", "bitfit"],
          ]
        : [];
    for (const [command, ...more] of [["train"], ...others]) {
      const result = await ptuning([command!, ...args, ...more, ...quick], { cwd: folder });
      expect(result.stderr).not.toContain("defect");
      if (command !== "compare" || args[0] !== "label.csv") expect(result.code, command).toBe(1);
      expect(result.stdout + result.stderr).toContain("expected no secret, got what looks like");
      // Trials tell what was wrong with each of them.
      const isTried = args[0] === "label.csv" && command !== "train";
      if (!isTried) expect(readdirSync(folder)).toEqual(before);
      expect(leaks(isTried ? join(folder, "made") : undefined, output(result))).toEqual([]);
      await rm(join(folder, "made"), { recursive: true, force: true });
    }
  }
});
