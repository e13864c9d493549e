/** The program that users start is the built command line in few files. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { repository } from "../support/requirements.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

const { bin, dependencies, peerDependencies, optionalDependencies } = JSON.parse(
  await readFile(join(repository, "package.json"), "utf8"),
);
const program = join(repository, bin.ptuning);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-bin-"));
  await writeFile(join(folder, "train.csv"), tinyCsv(60, 1));
});
afterAll(() => rm(folder, { recursive: true }));

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: "utf8" });
}

test("every command is there", async () => {
  const names = (help: string): string[] =>
    Array.from(help.matchAll(/^ {2}([a-z-]+) .*$/gm), ([, name]) => name!);
  const { stdout } = await ptuning(["--help"]);
  expect(run("--help").stdout).toBe(stdout);
  const commands = names(stdout.split("Commands:")[1]!);
  expect(commands).toContain("train");
  for (const name of commands) {
    const [ours, theirs] = [run(name, "--help"), await ptuning([name, "--help"])];
    expect(ours).toMatchObject({ status: 0, stdout: theirs.stdout });
  }
}, 120_000);

test("it trains, answers and refuses as the command line of the build does", async () => {
  const fast =
    "--precision fp32 --batch-size 8 --max-length 16 --threads 1 --epochs 1 --set data.devShare=0.1".split(
      " ",
    );
  const trained = run("train", "train.csv", "--backbone", tinyFolder, ...fast, "-o", "run");
  expect(trained).toMatchObject({ status: 0 });
  const ask = ["predict", "run", "w1 w2", "--backbone", tinyFolder, "--json"];
  const [ours, theirs] = [run(...ask), await ptuning(ask, { cwd: folder })];
  expect(theirs.stdout).toMatch(/"label"/);
  expect(ours).toMatchObject({ status: 0, stdout: theirs.stdout });
  expect(run("report", "run")).toMatchObject({ status: 0 });
  const refused = run("predict", "nowhere", "w1");
  expect(refused.status).toBe(1);
  expect(refused.stderr).toBe((await ptuning(["predict", "nowhere", "w1"], { cwd: folder })).stderr);
}, 120_000);

test("packages inside bring their licences, all others are dependencies", async () => {
  const place = join(program, "..");
  const licences = await readFile(join(place, "LICENSES.txt"), "utf8");
  for (const name of ["@bufbuild/protobuf", "commander", "yaml", "zod"]) {
    expect(licences.split(/^-{72}$/m).find((part) => part.trim().startsWith(`${name} `))).toMatch(
      /copyright/i,
    );
  }
  const outside = new Set<string>();
  for (const file of await readdir(place)) {
    if (!file.endsWith(".js")) continue;
    const code = await readFile(join(place, file), "utf8");
    for (const [, name] of code.matchAll(/(?:^import (?:[^;"]* from )?|\bimport\()"([@a-z][^"]*)"/gm))
      outside.add(name!);
  }
  const packages = [...outside]
    .filter((name) => !name.startsWith("node:"))
    .map((name) =>
      name
        .split("/")
        .slice(0, name.startsWith("@") ? 2 : 1)
        .join("/"),
    );
  expect(packages).toContain("hyparquet");
  const declared = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies });
  for (const name of packages) expect(declared).toContain(name);
});
