/** The command line as users meet it, on a tiny backbone. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliOptions, type CliResult, ptuning } from "../support/cli.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

let folder: string;
const run = (args: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  ptuning(args, {
    cwd: folder,
    ...options,
    env: { PTUNING_CACHE: join(folder, "cache"), HF_HUB_OFFLINE: "1", ...options.env },
  });
const fast = [
  "--backbone",
  tinyFolder,
  "--precision",
  "fp32",
  "--batch-size",
  "8",
  "--prompt-length",
  "3",
  "--learning-rate",
  "3e-2",
  "--max-length",
  "16",
  "--threads",
  "1",
  "--set",
  "data.devShare=0.1",
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-cli-"));
  await writeFile(join(folder, "train.csv"), tinyCsv(120, 1));
  await writeFile(join(folder, "test.csv"), tinyCsv(60, 2));
});
afterAll(() => rm(folder, { recursive: true }));

describe("a run from start to end", () => {
  test("init writes a commented file that train takes", async () => {
    const { code, stdout } = await run(["init", "train.csv", "-o", "run.yaml"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/text text, label label[\s\S]*3 labels[\s\S]*ptuning train run\.yaml/);
    expect(await readFile(join(folder, "run.yaml"), "utf8")).toMatch(/^# {3}promptLength: 20 {2}# /m);
    const again = await run(["init", "train.csv", "-o", "run.yaml"]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("--overwrite") });
  });

  test("train shows the parameters and a table, and saves the run", async () => {
    const { code, stdout, stderr } = await run([
      "train",
      "run.yaml",
      ...fast,
      "--epochs",
      "8",
      "--test",
      "test.csv",
      "--baselines",
    ]);
    expect(stderr).not.toMatch(/error|defect|at .*\.js/);
    expect(code).toBe(0);
    expect(stdout).toMatch(/trainable {2}\d+ \(\d.*%\): prompt 384, head 99/);
    expect(stdout).toMatch(/epoch +step +train loss +dev loss +accuracy +macroF1 +matthews +ece +time/);
    expect(stdout.match(/^ +[1-8] +\d+ +\d\.\d{4}/gm)).toHaveLength(8);
    expect(stdout).toMatch(/test +accuracy 0\.\d{4}/);
    expect(stdout).toMatch(/accuracy 0\.\d{4}.*majority class\n.*accuracy 0\.\d{4}.*TF-IDF/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: piped output must be free of escape sequences
    expect(stdout + stderr).not.toMatch(/\u001b|\r/);
    expect((await readdir(join(folder, "runs/run"))).sort()).toEqual([
      "adapter",
      "config.yaml",
      "events.jsonl",
      "report.html",
      "result.json",
      "tensorboard",
    ]);
    const result = JSON.parse(await readFile(join(folder, "runs/run/result.json"), "utf8"));
    expect(result).toMatchObject({
      reason: "finished",
      versions: { node: process.versions.node },
      test: { accuracy: expect.any(Number) },
    });
    expect(result.test.accuracy).toBeGreaterThan(0.6);
  });

  test("small data is trained on whole, and what is chosen is chosen on rows left out", async () => {
    const small = fast.slice(0, -2);
    const { code, stdout, stderr } = await run([
      "train",
      "train.csv",
      ...small,
      "--epochs",
      "8",
      "-o",
      "runs/small",
    ]);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/fewer than 500 examples[\s\S]*devShare: 0\.1/),
    ]);
    expect(stdout).toMatch(/examples +120 train, 0 dev/);
    expect(stdout).toMatch(/on rows left out accuracy[\s\S]*left out +accuracy/);
    expect(await readFile(join(folder, "runs/small/config.yaml"), "utf8")).toMatch(/devShare: 0\n/);
    expect(await readFile(join(folder, "runs/small/report.html"), "utf8")).toContain("rows left out");
    const checked = await run(["check-data", "train.csv", "--backbone", tinyFolder]);
    expect(checked.stdout).toMatch(/info: dev: no examples; of fewer than 500 none are held back/);
  });

  test("a second run in the same folder is refused, with what to do", async () => {
    const { code, stderr } = await run(["train", "run.yaml", ...fast]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /error: runs\/run: expected no run there, got a finished one\.\n {2}Choose another --output, or replace it with --overwrite/,
    );
  });

  test("evaluate scores it, as text and as JSON", async () => {
    const { code, stdout } = await run([
      "evaluate",
      "runs/run",
      "test.csv",
      "--backbone",
      tinyFolder,
      "--precision",
      "fp32",
    ]);
    expect(code).toBe(0);
    const { test: scores } = JSON.parse(await readFile(join(folder, "runs/run/result.json"), "utf8"));
    const accuracy = Number(/accuracy +(\d\.\d+)/.exec(stdout)![1]);
    expect(accuracy).toBeCloseTo(scores.accuracy, 1);
    const json = await run([
      "evaluate",
      "runs/run",
      "test.csv",
      "--backbone",
      tinyFolder,
      "--precision",
      "fp32",
      "--json",
    ]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      type: "evaluation",
      examples: 60,
      scores: { accuracy: expect.closeTo(accuracy, 3) },
    });
  });

  test("predict takes arguments, a file and standard input, and writes a table, JSON lines and CSV", async () => {
    const use = ["predict", "runs/run", "--backbone", tinyFolder];
    const table = await run([...use, "w1 w12", "w2 w14"]);
    expect(table.stdout).toMatch(
      /^row +label +score +text\n +1 +class \d +\d\.\d{4} +w1 w12\n +2 +class \d +\d\.\d{4} +w2 w14\n$/,
    );
    const lines = await run([...use, "--json"], { input: "w1 w12\n\nw2 w14\n" });
    const rows = lines.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows.map(({ row, line, text }) => [row, line, text])).toEqual([
      [1, 1, "w1 w12"],
      [2, 2, undefined],
      [3, 3, "w2 w14"],
    ]);
    expect(Object.keys(rows[0].probabilities)).toEqual(["class 0", "class 1", "class 2"]);
    const file = await run([...use, "--input", "test.csv", "--format", "csv"]);
    expect(file.stdout.split("\n")[0]).toBe("row,line,label,score,text");
    expect(file.stdout.trim().split("\n")).toHaveLength(61);
  });

  test("predict finds a backbone that its run was given as a folder", async () => {
    const { code, stdout } = await run(["predict", "runs/run", "w1 w12"]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/class \d/)]);
    // The adapter alone knows a name, and names no place.
    expect(await run(["predict", "runs/run/adapter", "w1 w12"])).toMatchObject({ code: 1 });
  });

  test("texts cannot send control characters to the terminal", async () => {
    const { stdout } = await run([
      "predict",
      "runs/run",
      "--backbone",
      tinyFolder,
      "w1 \u001b]0;owned\u0007\u202e",
    ]);
    expect(stdout).toContain("w1 \\x1b]0;owned\\x07\\u{202e}");
  });

  test("inspect knows adapters, runs, backbones and data", async () => {
    expect((await run(["inspect", "runs/run/adapter"])).stdout).toMatch(
      /kind +adapter[\s\S]*peft +no: PEFT pools/,
    );
    expect((await run(["inspect", "runs/run"])).stdout).toMatch(/kind[\s\S]*reason +finished/);
    expect((await run(["inspect", tinyFolder])).stdout).toMatch(/kind +backbone[\s\S]*numLayers +2/);
    expect(JSON.parse((await run(["inspect", "train.csv", "--json"])).stdout)).toMatchObject({
      kind: "data",
      label: "label",
      rows: 120,
    });
    expect(await run(["inspect", "cache"])).toMatchObject({ code: 1 });
  });

  test("report makes the page anew, and says what is out of reach", async () => {
    const path = join(folder, "runs/run/report.html");
    const strip = (html: string): string => html.replace(/on \d{4}-\d\d-\d\d \d\d:\d\d UTC/, "");
    const first = await readFile(path, "utf8");
    expect(first).toMatch(/w\d+ w\d+/);
    await rm(path);
    const { code, stdout, stderr } = await run(["report", "runs/run"]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "runs/run/report.html\n", stderr: "" });
    expect(strip(await readFile(path, "utf8"))).toBe(strip(first));
    const data = join(folder, "train.csv");
    const before = await readFile(data, "utf8");
    await writeFile(data, before.replace("class 1", "class 2"));
    const changed = await run(["report", "runs/run"]);
    await writeFile(data, before);
    expect(changed).toMatchObject({ code: 0, stderr: expect.stringMatching(/Without the data: .*changed/) });
    expect(await readFile(path, "utf8")).not.toMatch(/w\d+ w\d+/);
    expect(await run(["report", "cache"])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/expected a run/),
    });
  });

  test("texts of examples are in the report and nowhere else", async () => {
    const files = await readdir(join(folder, "runs/run"), { recursive: true, withFileTypes: true });
    const quoting: string[] = [];
    for (const file of files.filter((entry) => entry.isFile())) {
      const content = await readFile(join(file.parentPath, file.name), "latin1");
      if (/w\d+ w\d+/.test(content)) quoting.push(file.name);
    }
    expect(quoting).toEqual([]);
    expect((await run(["report", "runs/run"])).code).toBe(0);
    expect(await readFile(join(folder, "runs/run/report.html"), "latin1")).toMatch(/w\d+ w\d+/);
  });

  test("check-data takes a file, a configuration and a run; errors end with 1", async () => {
    const use = ["--backbone", tinyFolder];
    const text = await run(["check-data", "train.csv", "--test", "test.csv", "--max-length", "5", ...use]);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^split +examples +repeated +median tokens +95 % +longest\ntrain +\d+ /);
    expect(text.stdout).toMatch(/class 0 +\d+ +\d+ +\d+/);
    expect(text.stdout).toMatch(/5 \(this run\) +\d+ +\d/);
    expect(text.stdout).toMatch(/warning: .* longer than maxLength 5, which are cut/);
    expect(text.stdout).toMatch(/These data suggest: maxLength \d+/);
    const [said, file] = (await run(["check-data", "run.yaml", ...use, "--json"])).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(said).toMatchObject({ type: "data", format: "csv", columns: { text: "text", label: "label" } });
    expect(said.leftOut).toBe(true);
    expect(file).toMatchObject({ type: "data-checks", splits: [{ name: "train", examples: 120 }] });
    const held = ["check-data", "run.yaml", ...use, "--set", "data.devShare=0.1", "--json"];
    const [parted, checks] = (await run(held)).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(parted.leftOut).toBeUndefined();
    expect(checks).toMatchObject({ splits: [{ name: "train" }, { name: "dev" }] });
    const ofRun = JSON.parse((await run(["check-data", "runs/run", "--json"])).stdout.trim().split("\n")[1]!);
    expect(ofRun.splits.map(({ examples }: { examples: number }) => examples)).toEqual([108, 12, 60]);
    expect(ofRun.lengths.maxLength).toBe(16);
    await writeFile(join(folder, "odd.csv"), "text,label\nw1,class 9\n");
    const odd = await run(["check-data", "train.csv", "--test", "odd.csv", ...use]);
    expect(odd.code).toBe(1);
    expect(odd.stdout).toMatch(/error: label: expected one of class 0.*got "class 9"/);
    expect(odd.stdout).toMatch(/warning: 1 label occurs in the test data only.*\n {2}lines 2\n/);
    const none = await run(["check-data", "train.csv"]);
    expect(none).toMatchObject({ code: 0, stderr: expect.stringContaining("lengths are not checked") });
  });

  test("doctor and backbones answer", async () => {
    const checks = JSON.parse(
      (await run(["doctor", "--json"], { env: { HF_ENDPOINT: "http://127.0.0.1:9" } })).stdout,
    );
    expect(checks.map(({ name }: { name: string }) => name)).toEqual([
      "node",
      "engine",
      "cpu",
      "memory",
      "cache",
      "python",
      "hub",
      "tokenizer",
    ]);
    expect(checks.find(({ name }: { name: string }) => name === "engine").state).toBe("ok");
    const { stdout: listed } = await run(["backbones"]);
    expect(listed).toMatch(/^minilm +(here +)?22,713,216 +91\.6 MB +Apache-2\.0 +MiniLM/m);
    expect(listed).toMatch(/works too: bert, roberta, .*, [\w-]+\.$/m);
    expect(listed).toMatch(/^mpnet +(here +)?109,486,464 +438\.7 MB +Apache-2\.0 +MPNet/m);
    expect(await run(["backbones", "remove", "minilm"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("it is not in the cache"),
    });
  });
});

describe("train", () => {
  test("needs no configuration: columns are guessed; --json gives events", async () => {
    const { code, stdout } = await run([
      "train",
      "train.csv",
      ...fast,
      "--epochs",
      "1",
      "-o",
      "runs/json",
      "--json",
    ]);
    expect(code).toBe(0);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(new Set(events.map(({ type }) => type))).toEqual(
      new Set(["data", "start", "step", "evaluation", "refit", "done", "result"]),
    );
    const logged = (await readFile(join(folder, "runs/json/events.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(logged).toEqual(events.filter(({ type }) => type !== "result" && type !== "data"));
  });

  test("--set reaches every key; the saved configuration holds it, with absolute paths and without secrets", async () => {
    const { code } = await run([
      "train",
      "train.csv",
      ...fast,
      "--epochs",
      "1",
      "-o",
      "runs/set",
      "--set",
      "method.promptLayers={first: 1}",
      "--set",
      "training.weightDecay=0.01",
      "--set",
      "task.classWeights=balanced",
    ]);
    expect(code).toBe(0);
    const saved = await readFile(join(folder, "runs/set/config.yaml"), "utf8");
    expect(saved).toContain(`train: ${join(folder, "train.csv")}`);
    expect(saved).toMatch(/promptLayers:\n +first: 1/);
    expect(saved).toContain("weightDecay: 0.01");
  });

  test("a start from activations, a gate and a rate of the head's own: from training to answers", async () => {
    const set = ["method.init=activations", "method.gate=true", "training.headLearningRate=0.01"];
    const flags = [...fast, "--epochs", "2", "-o", "runs/gated", ...set.flatMap((value) => ["--set", value])];
    const { code, stdout } = await run(["train", "train.csv", "--test", "test.csv", ...flags]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/prompt 392, head 99[\s\S]*learning rate 0\.03 \(head 0\.01\)/);
    const again = ["--backbone", tinyFolder, "--precision", "fp32", "--json"];
    const scored = await run(["evaluate", "runs/gated", "test.csv", ...again]);
    const result = JSON.parse(await readFile(join(folder, "runs/gated/result.json"), "utf8"));
    expect(JSON.parse(scored.stdout).scores.accuracy).toBe(result.test.accuracy);
    const { stdout: facts } = await run(["inspect", "runs/gated", "--json"]);
    expect(facts).toMatch(/PEFT has no bias on attention to the prompt/);
    const refused = await run([
      "train",
      "train.csv",
      ...flags,
      "--overwrite",
      "--set",
      "method.reparameterization=mlp",
    ]);
    expect(refused.stderr).toMatch(/init: expected normal with reparameterization mlp, got "activations"/);
  });

  test("--find-lr prints a curve and a suggestion, the same each time, and touches no run", async () => {
    const flags = [...fast, "-o", "runs/found", "--find-lr"];
    const { code, stdout, stderr } = await run(["train", "train.csv", ...flags]);
    expect(stderr).not.toMatch(/error|defect/);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^learning rate +loss\n +3\.0e-5 +\d\.\d{4} /);
    expect(stdout.match(/^ +\d\.\de[+-]\d +\d+\.\d{4} /gm)!.length).toBeGreaterThan(5);
    expect(stdout).toMatch(/falls fastest[\s\S]*lowest[\s\S]*suggested +--learning-rate \d/);
    expect(existsSync(join(folder, "runs/found"))).toBe(false);
    const lines = async (): Promise<{ type: string; learningRate: number }[]> => {
      const { stdout: json } = await run(["train", "train.csv", ...flags, "--json"]);
      const parsed = json
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      return parsed;
    };
    const [first, second] = [await lines(), await lines()];
    expect(first).toEqual(second);
    const { type, learningRate } = first.at(-1)!;
    expect(type).toBe("suggestion");
    expect(stdout).toContain(`--learning-rate ${Number(learningRate.toPrecision(2))}`);
    expect((await run(["train", "train.csv", ...flags, "--resume", "runs/x"])).code).toBe(2);
  });

  test("settings that are refused make no folder, and replace no run", async () => {
    const refused = [...fast, "--set", "training.maxLength=500"];
    const { code, stderr } = await run(["train", "train.csv", ...refused, "-o", "runs/refused"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/maxLength: 500 tokens behind position offset/);
    expect(existsSync(join(folder, "runs/refused"))).toBe(false);
    const files = await readdir(join(folder, "runs/set"));
    expect(files).toContain("result.json");
    const again = await run(["train", "train.csv", ...refused, "-o", "runs/set", "--overwrite"]);
    expect(again.stderr).toBe(stderr);
    expect(await readdir(join(folder, "runs/set"))).toEqual(files);
  });

  test("--dry-run measures and trains nothing", async () => {
    const { code, stdout } = await run(["train", "train.csv", ...fast, "-o", "runs/dry", "--dry-run"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/trainable[\s\S]*memory +\d.*[MG]B[\s\S]*time +.* steps of/);
    expect(existsSync(join(folder, "runs/dry"))).toBe(false);
  });

  test.each([
    [
      ["train", "run.yaml", "--set", "method.promtLength=3"],
      /command line: method\.promtLength: unknown key\. Did you mean "promptLength"\?/,
    ],
    [["train", "run.yaml", "--set", "__proto__.x=1"], /the key "__proto__" is not allowed/],
    [
      ["train", "run.yaml", "--set", "training.epochs=many"],
      /training\.epochs: expected a whole number above 0, got "many"/,
    ],
    [["train", "nowhere.csv"], /nowhere\.csv: expected a data file, got no such file/],
    [["train", "train.csv", "--label", "lable"], /expected a column "lable".*\n {2}Did you mean "label"/],
    [
      ["train", "train.csv", "--backbone", "minlm"],
      /expected a catalog name \(minilm, mpnet\), a hub id \(owner\/name\) or a folder, got "minlm"/,
    ],
    [["train", "--resume", "runs/nowhere"], /runs\/nowhere: expected an unfinished run, got no run/],
    [["train", "--resume", "runs/run"], /expected an unfinished run, got a finished one/],
    [["train", "train.csv", "--resume", "runs/run"], /--resume: expected no other settings/],
    [["train", "--resume", "runs/run", "--epochs", "many"], /--resume: expected no other settings/],
    [["train", "train.csv", "--preset", "thudmm"], /preset: expected .*"thudm"/],
    [["predict", "runs/nowhere", "x"], /runs\/nowhere: expected an adapter folder/],
    [["predict", "runs/run", "--pair", "x"], /--pair: expected one text beside it, got 0/],
  ])("%j is an error that says what to do", async (args, message) => {
    const { code, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(stderr).not.toMatch(/defect|\n +at /);
  });

  test.each([
    [["tain"], /unknown command 'tain'[\s\S]*Did you mean train\?/],
    [["train", "--epoch", "3"], /unknown option '--epoch'[\s\S]*Did you mean --epochs\?/],
    [["predict"], /missing required argument 'adapter'/],
    [["predict", "x", "--format", "xml"], /Allowed choices are table, jsonl, csv/],
  ])("%j is a usage error", async (args, message) => {
    const { code, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  test("an adapter never causes a download", async () => {
    await mkdir(join(folder, "foreign"));
    const adapter = join(folder, "runs/run/adapter");
    for (const file of await readdir(adapter))
      await writeFile(join(folder, "foreign", file), await readFile(join(adapter, file)));
    const path = join(folder, "foreign/ptuning.json");
    const json = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...json, backbone: { ...json.backbone, id: "someone/elses" } }));
    const { code, stderr } = await run(["predict", "foreign", "w1"], {
      env: { HF_HUB_OFFLINE: "", HF_ENDPOINT: "http://127.0.0.1:9" },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /backbone "someone\/elses": it is not on this machine\.\n {2}Fetch it with: ptuning backbones add someone\/elses/,
    );
  });
});
