/** The packed package in a fresh folder: what a user installs. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { has, repository } from "../support/requirements.ts";
import { tinyExamples } from "../support/tiny.ts";

/** The program that the README shows. */
const program = /```ts\n(import[\s\S]*?)```/.exec(readFileSync(join(repository, "README.md"), "utf8"))?.[1];

describe.skipIf(!has.minilm)("the packed package", () => {
  let folder: string;
  const run = (command: string, args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
    expect(status, `${command} ${args.join(" ")}\n${stdout}\n${stderr}`).toBe(0);
    return stdout;
  };
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "ptuning-package-"));
    execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: repository });
    const [tarball] = readdirSync(folder);
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ name: "user", private: true, type: "module" }),
    );
    run("npm", [
      "install",
      "--silent",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--prefer-offline",
      `./${tarball}`,
      "typescript@6.0.3",
      "@types/node@20.19.25",
    ]);
    const rows = tinyExamples(40, 1).map(({ text, label }) => `${text},it is so,${label}`);
    writeFileSync(join(folder, "rte.csv"), `premise,hypothesis,label\n${rows.join("\n")}\n`);
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("runs the README's program, with types", () => {
    expect(program).toContain("for await (const event of train(");
    // Four epochs less than the default: the program is what is tested, not what it learns.
    writeFileSync(
      join(folder, "program.ts"),
      program!.replace("learningRate: 1e-2", "learningRate: 1e-2, epochs: 1"),
    );
    run("npx", [
      "tsc",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2023",
      "--skipLibCheck",
      "false",
      "program.ts",
    ]);
    const output = run("node", ["program.js"]);
    expect(output.trim().split("\n")[0]).toMatch(/^1 \d+\.\d+$/);
    expect(existsSync(join(folder, "adapters/rte/adapter_model.safetensors"))).toBe(true);
  }, 120_000);

  test("has the command", () => {
    const version = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")).version;
    expect(run("npx", ["ptuning", "--version"]).trim()).toBe(version);
  });

  test("holds built code, licence and documents, and no tests or sources", () => {
    const files = readdirSync(join(folder, "node_modules/ptuning"));
    expect(files.sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "dist", "package.json"]);
  });
});
