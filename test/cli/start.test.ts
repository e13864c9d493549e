/** A run that starts from another, as users do it. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAdapter } from "ptuning/internal/adapters";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-start-cli-"));
  await writeFile(join(folder, "train.csv"), tinyCsv(120, 1));
});
afterAll(() => rm(folder, { recursive: true }));

function train(...args: string[]): Promise<CliResult> {
  const fast =
    "--precision fp32 --batch-size 8 --max-length 16 --threads 1 --epochs 1 --set data.devShare=0.1".split(
      " ",
    );
  return ptuning(["train", "train.csv", "--backbone", tinyFolder, ...fast, ...args], { cwd: folder });
}

test("a prompt goes from run to run; its network only with the training state", async () => {
  const mlp = ["--set", "method.reparameterization=mlp", "--set", "method.prefixHiddenSize=8"];
  const network = [...mlp, "--prompt-length", "4"];
  expect(await train("-o", "first", "--prompt-length", "2", ...mlp)).toMatchObject({ code: 0 });
  const refused = await train("-o", "second", ...network, "--start-from", "first");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /start.from: expected the network that makes the prompt.*folded away[\s\S]*report.state: true/,
  );
  expect(await readdir(folder)).not.toContain("second");

  const kept = ["-o", "first", "--overwrite", "--set", "report.state=true"];
  expect(await train(...kept, "--prompt-length", "2", ...mlp)).toMatchObject({ code: 0 });
  expect(await readdir(join(folder, "first"))).toContain("state.safetensors");
  for (const from of ["first", "first/state.safetensors"]) {
    const second = await train("-o", "second", "--overwrite", ...network, "--start-from", from);
    expect(second).toMatchObject({ code: 0 });
  }
  expect(await readFile(join(folder, "second/config.yaml"), "utf8")).toContain(
    `from: ${join(folder, "first/state.safetensors")}`,
  );
  expect(await readdir(join(folder, "second"))).not.toContain("state.safetensors");

  // A flat prompt starts from the adapter of the same folder, and its head can stay as it is.
  const flat = ["--prompt-length", "3", "--start-from", "first", "--start-head", "freeze"];
  const { code, stdout } = await train("-o", "third", ...flat);
  expect(code).toBe(0);
  expect(stdout).toMatch(/trainable {2}\d+ \(\d.*%\): prompt 384\n/);
  const [first, third] = await Promise.all(
    ["first", "third"].map((run) => loadAdapter(join(folder, run, "adapter"))),
  );
  expect(third!.params["head.weight"]).toEqual(first!.params["head.weight"]);
}, 120_000);
