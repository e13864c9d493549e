/** Files that must never be half written, and locks between processes. */
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockFile, writeFileAtomic, writeFolderAtomic } from "ptuning/internal/files";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-disk-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** What the disk says when it is full. */
const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

describe("writing as a whole", () => {
  test("a file that cannot be finished leaves the old one and no rest", async () => {
    const path = join(folder, "state");
    await writeFileAtomic(path, "old");
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode("new, but");
      throw full;
    }
    await expect(writeFileAtomic(path, broken())).rejects.toMatchObject({ code: "STORAGE_FULL" });
    expect(await readFile(path, "utf8")).toBe("old");
    await expect(writeFileAtomic(join(folder, "nowhere/x"), "")).rejects.toMatchObject({
      code: "OUTPUT_UNWRITABLE",
    });
    expect(await readdir(folder)).toEqual(["state"]);
  });

  test("a real full device is told as such", async () => {
    await expect(writeFile("/dev/full", "x")).rejects.toMatchObject({ code: "ENOSPC" });
    async function* pouring(): AsyncGenerator<Uint8Array> {
      await writeFile("/dev/full", "x");
      yield new Uint8Array();
    }
    await expect(writeFileAtomic(join(folder, "poured"), pouring())).rejects.toThrow(/the disk is full/);
  });

  test("a folder that cannot be finished leaves the old one", async () => {
    const path = join(folder, "adapter");
    await writeFolderAtomic(path, (inside) => writeFile(join(inside, "a"), "1"));
    const failing = writeFolderAtomic(path, async (inside) => {
      await writeFile(join(inside, "b"), "2");
      throw full;
    });
    await expect(failing).rejects.toMatchObject({ code: "STORAGE_FULL" });
    expect(await readdir(path)).toEqual(["a"]);
    await writeFolderAtomic(path, (inside) => writeFile(join(inside, "c"), "3"));
    expect(await readdir(path)).toEqual(["c"]);
    expect((await readdir(folder)).filter((name) => name.includes("tmp"))).toEqual([]);
  });
});

describe("locks", () => {
  const what = "the thing";

  test("a second holder is refused at once, or waits until it is free", async () => {
    const path = join(folder, "lock-a");
    const release = await lockFile(path, { what });
    await expect(lockFile(path, { what })).rejects.toThrow(`the thing: in use by process ${process.pid}`);
    const waiting = lockFile(path, { what, timeoutMs: 5000 });
    setTimeout(release, 200);
    await (await waiting)();
    expect((await readdir(folder)).filter((name) => name.startsWith("lock-a"))).toEqual([]);
  });

  test("the lock of a process that was killed is taken over, and so is a damaged one", async () => {
    const path = join(folder, "lock-b");
    const program = `import { lockFile } from "ptuning/internal/files"; await lockFile(${JSON.stringify(path)}, { what: "x" }); console.log("held"); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await expect(lockFile(path, { what })).rejects.toThrow(`in use by process ${child.pid}`);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    await (await lockFile(path, { what }))();
    await writeFile(path, "{ not json");
    await (await lockFile(path, { what }))();
  });

  test("many at once hold it one after another", async () => {
    const path = join(folder, "lock-c");
    let [inside, most] = [0, 0];
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const release = await lockFile(path, { what, timeoutMs: 20_000 });
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 5));
        inside--;
        await release();
      }),
    );
    expect(most).toBe(1);
  });
});
