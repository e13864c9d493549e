import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repository } from "../support/requirements.ts";

test("the runtime keeps no device id and writes no files of its own", async () => {
  const home = await mkdtemp(join(tmpdir(), "ptuning-home-"));
  try {
    const { status, stderr } = spawnSync(process.execPath, [`${repository}dist/cli/main.js`, "doctor"], {
      env: { PATH: process.env.PATH, HOME: home, XDG_CACHE_HOME: join(home, "cache"), TMPDIR: home },
      encoding: "utf8",
    });
    expect(status, stderr).toBe(0);
    const left = await readdir(home, { recursive: true });
    expect(left.filter((name) => !/^cache(\/ptuning.*)?$/.test(name))).toEqual([]);
  } finally {
    await rm(home, { recursive: true });
  }
});
