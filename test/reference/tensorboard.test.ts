/** TensorBoard reads the scalars of a run, also of one that was killed and resumed. */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { referencePython } from "../../tools/reference/run.mjs";
import { ptuning } from "../support/cli.ts";
import { has, repository } from "../support/requirements.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

interface Logged {
  readonly type: string;
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly scores: Readonly<Record<string, number>>;
}

type Curves = Readonly<Record<string, readonly (readonly [step: number, value: number])[]>>;

describe.skipIf(!has.python)(
  "TensorBoard",
  () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "ptuning-tensorboard-"));
      for (const [name, count] of [
        ["train", 320],
        ["test", 40],
      ] as const) {
        await writeFile(join(folder, `${name}.csv`), tinyCsv(count, count));
      }
    });
    afterAll(() => rm(folder, { recursive: true }));

    const start = (output: string): string[] => [
      ...["train", "train.csv", "--test", "test.csv", "--backbone", tinyFolder, "--precision", "fp32"],
      ...[
        "--threads",
        "1",
        "--epochs",
        "6",
        "--batch-size",
        "4",
        "--prompt-length",
        "3",
        "--max-length",
        "16",
      ],
      ...[
        "--json",
        "-o",
        output,
        "--set",
        "training.evaluateEvery=50",
        "--set",
        "training.checkpointSeconds=0",
        "--set",
        "data.devShare=0.1",
      ],
    ];

    function read(run: string): Curves {
      const { stdout, stderr, status } = spawnSync(
        referencePython(),
        [join(repository, "tools/reference/read_event_files.py"), join(folder, run, "tensorboard")],
        { encoding: "utf8" },
      );
      if (status !== 0) throw new Error(stderr);
      return JSON.parse(stdout);
    }

    /** What the log and the result say, as curves. */
    async function logged(run: string): Promise<Curves> {
      const events = (await readFile(join(folder, run, "events.jsonl"), "utf8"))
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      const result = JSON.parse(await readFile(join(folder, run, "result.json"), "utf8"));
      const curve = (type: string, value: (event: Logged) => number): [number, number][] =>
        events.filter((event) => event.type === type).map((event) => [event.step, Math.fround(value(event))]);
      return {
        "train/loss": curve("step", ({ loss }) => loss),
        "train/learning_rate": curve("step", ({ learningRate }) => learningRate),
        "train/gradient_norm": curve("step", ({ gradientNorm }) => gradientNorm),
        "train/tokens_per_second": curve("step", ({ tokens, seconds }) => tokens / seconds),
        "dev/loss": curve("evaluation", ({ loss }) => loss),
        ...Object.fromEntries(
          Object.entries<number>(result.test).flatMap(([name, value]) => [
            [`dev/${name}`, curve("evaluation", ({ scores }) => scores[name]!)],
            [`test/${name}`, [[result.steps, Math.fround(value)]]],
          ]),
        ),
      };
    }

    test("every scalar of a run, at its step", async () => {
      expect((await ptuning(start("whole"), { cwd: folder })).code).toBe(0);
      const curves = read("whole");
      expect(curves).toEqual(await logged("whole"));
      expect(curves["train/loss"]).toHaveLength(432);
      expect(curves["dev/accuracy"]).toHaveLength(9);
      expect(curves["test/accuracy"]).toHaveLength(1);
    });

    test("a run that was killed and resumed has one whole curve, although its files overlap and one is torn", async () => {
      await ptuning(start("killed"), {
        cwd: folder,
        onStart(child) {
          let steps = 0;
          child.stdout!.on("data", (text: string) => {
            steps += text.split('"type":"step"').length - 1;
            if (steps > 150) child.kill("SIGKILL");
          });
        },
      });
      const [first] = await readdir(join(folder, "killed/tensorboard"));
      const path = join(folder, "killed/tensorboard", first!);
      await truncate(path, statSync(path).size - 3);
      // The state is older than the log: take the last steps once more.
      expect((await ptuning(["train", "--resume", "killed", "--json"], { cwd: folder })).code).toBe(0);
      expect(await readdir(join(folder, "killed/tensorboard"))).toHaveLength(2);
      const [killed, log] = [read("killed"), await logged("killed")];
      const { "train/tokens_per_second": _, ...curves } = killed;
      const { "train/tokens_per_second": __, ...expected } = log;
      expect(curves).toEqual(expected);
      const whole = read("whole");
      expect(curves["train/loss"]).toEqual(whole["train/loss"]);
    });

    test("report.tensorboard: false writes none", async () => {
      const { code } = await ptuning(
        [...start("none"), "--set", "report.tensorboard=false", "--set", "report.html=false"],
        { cwd: folder },
      );
      expect(code).toBe(0);
      expect(await readdir(join(folder, "none"))).toEqual([
        "adapter",
        "config.yaml",
        "events.jsonl",
        "result.json",
      ]);
    });
  },
  120_000,
);
