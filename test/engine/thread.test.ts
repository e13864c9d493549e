/** The thread behind the engine: what cannot reach it, what its death means, and that it keeps no process alive. */
import { spawnSync } from "node:child_process";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { nodeEngine } from "ptuning/engine";
import { floats } from "ptuning/internal/core";
import { GraphBuilder } from "ptuning/internal/graph";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repository } from "../support/requirements.ts";

const threads = createRequire(import.meta.url)("node:worker_threads") as {
  Worker: new (...given: [URL, object]) => Worker;
};
const original = threads.Worker;
interface Worker {
  terminate(): Promise<number>;
}
const started: Worker[] = [];

beforeAll(() => {
  threads.Worker = class extends original {
    constructor(...given: [URL, object]) {
      super(...given);
      started.push(this);
    }
  };
  syncBuiltinESMExports();
});
afterAll(() => {
  threads.Worker = original;
  syncBuiltinESMExports();
});

const double = new GraphBuilder("double");
double.output("y", double.op("Mul", [double.input("x", "float32", ["N"]), double.scalar(2)]));
const feeds = { x: floats([1], [4]) };

describe("the engine's thread", () => {
  test("refuses what cannot be copied to it, and goes on", async () => {
    const engine = nodeEngine({ threads: 1 });
    const session = await engine.compile(double.build());
    const odd = { x: { ...floats([1], [4]), name: () => "no clone of a function" } };
    await expect(session.run(odd)).rejects.toMatchObject({ code: "ENGINE_FAILED", message: /cloned/ });
    await expect(session.bind(odd)).rejects.toMatchObject({ code: "ENGINE_FAILED" });
    await expect(engine.hold(odd)).rejects.toMatchObject({ code: "ENGINE_FAILED" });
    expect([...(await session.run(feeds)).y!.data]).toEqual([8]);
    await engine.close();
  });

  test("dies: all that waits fails with the cause, so does what comes later, and new sessions get a new thread", async () => {
    const engine = nodeEngine({ threads: 1 });
    const session = await engine.compile(double.build());
    const held = await engine.hold(feeds);
    const running = Array.from({ length: 5 }, () => session.run(feeds));
    const outcomes = Promise.allSettled(running);
    await started.at(-1)!.terminate();
    const died = { code: "ENGINE_FAILED", message: /the engine's thread ended with code 1/ };
    const failed = (await outcomes).filter(({ status }) => status === "rejected");
    expect(failed.length).toBeGreaterThan(0);
    for (const outcome of failed) expect((outcome as PromiseRejectedResult).reason).toMatchObject(died);
    await expect(session.run(feeds)).rejects.toMatchObject(died);
    await expect(session.bind(held)).rejects.toMatchObject(died);
    await expect(held.read()).rejects.toMatchObject(died);
    await session.release();
    await held.release();

    const next = await engine.compile(double.build());
    expect([...(await next.run(feeds)).y!.data]).toEqual([8]);
    await expect(next.bind(held)).rejects.toMatchObject({
      message: /held by a thread of the engine that has ended/,
    });
    await engine.close();
  });
});

test.each([
  ["after a refusal", "await session.run({ x: { ...x, f() {} } }).catch(() => {});"],
  ["after a foreign tensor", "await session.bind(await referenceEngine().hold({ x })).catch(() => {});"],
  ["without close", "await session.run({ x });"],
])("a process ends by itself %s", (_, statement) => {
  const program = `
    import { floats } from "ptuning/internal/core";
    import { nodeEngine, referenceEngine } from "ptuning/engine";
    import { GraphBuilder } from "ptuning/internal/graph";
    const b = new GraphBuilder("double");
    b.output("y", b.op("Mul", [b.input("x", "float32", ["N"]), b.scalar(2)]));
    const x = floats([1], [4]);
    const session = await nodeEngine({ threads: 1 }).compile(b.build());
    ${statement}
    console.log("end");`;
  const { stdout, status, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: repository,
    encoding: "utf8",
    timeout: 60_000,
  });
  expect({ stdout, status, signal }).toEqual({ stdout: "end\n", status: 0, signal: null });
});
