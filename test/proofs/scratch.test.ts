/** What tests and proofs write in between goes when they end, and is swept by the next ones if they are killed. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { scratch } from "../../tools/scratch.mjs";

/** A process that has a folder and goes on, or ends. */
async function inProcess(then: string): Promise<{ folder: string; child: ReturnType<typeof spawn> }> {
  const module = new URL("../../tools/scratch.mjs", import.meta.url).href;
  const program = `import { scratch } from ${JSON.stringify(module)};
    import { writeFileSync } from "node:fs";
    const folder = await scratch("swept");
    writeFileSync(folder + "/file", "x");
    console.log(folder); ${then}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const folder = await new Promise<string>((resolve) =>
    child.stdout!.once("data", (text) => resolve(String(text).trim())),
  );
  return { folder, child };
}
const ended = (child: ReturnType<typeof spawn>): Promise<unknown> =>
  child.exitCode !== null ? Promise.resolve() : new Promise((resolve) => child.once("exit", resolve));

test("a folder goes with its process, or with the next one that asks; that of a process that runs stays", async () => {
  const finished = await inProcess("");
  await ended(finished.child);
  expect(existsSync(finished.folder)).toBe(false);

  const killed = await inProcess("setInterval(() => {}, 1000);");
  const running = await inProcess("setInterval(() => {}, 1000);");
  killed.child.kill("SIGKILL");
  await ended(killed.child);
  expect(existsSync(killed.folder)).toBe(true);
  const mine = await scratch("swept");
  expect(readdirSync(mine)).toEqual([]);
  expect(existsSync(killed.folder)).toBe(false);
  expect(existsSync(running.folder)).toBe(true);
  running.child.kill();
  await ended(running.child);
});
