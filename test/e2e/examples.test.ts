/** The programs under examples/ reach the targets that they assert, on the real backbone. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { has, repository } from "../support/requirements.ts";

const folder = join(repository, "examples");
const programs = readdirSync(folder).filter((name) => existsSync(join(folder, name, "run.mjs")));

describe.skipIf(!has.minilm)("examples", () => {
  test.each(programs)(
    "%s",
    (name) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, name, "run.mjs")], {
        encoding: "utf8",
      });
      expect(stderr).toBe("");
      expect(stdout).toMatch(/\d/);
      expect(status).toBe(0);
    },
    180_000,
  );
});
