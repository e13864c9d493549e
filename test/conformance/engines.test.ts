/** What every engine does alike, beyond the numbers of ops. */

import { nodeEngine, referenceEngine } from "ptuning/engine";
import { floats, type Params } from "ptuning/internal/core";
import { GraphBuilder } from "ptuning/internal/graph";
import { afterAll, describe, expect, test } from "vitest";
import { closeEngines, noGpu, testedEngines } from "../support/engines.ts";

const engines = testedEngines.map(({ engine }) => engine);
afterAll(closeEngines);

/** x → first and second: one value under two names. */
const twice = new GraphBuilder("twice");
const double = twice.op("Mul", [twice.input("x", "float32", ["N"]), twice.scalar(2)]);
for (const name of ["first", "second"]) twice.output(name, double);

/** x ← x + y */
const sum = new GraphBuilder("sum");
sum.output("next", sum.op("Add", [sum.input("x", "float32", ["N"]), sum.input("y", "float32", ["N"])]));

test("WebGPU is among them", ({ skip }) => {
  skip(noGpu !== undefined, noGpu);
  expect(engines.map(({ facts }) => facts.device)).toContain("webgpu");
});

describe.each(engines)("$name", (engine) => {
  const feeds = { x: floats([2], [1, 2]) };

  test("outputs that are one value are tensors of their own", async () => {
    const session = await engine.compile(twice.build());
    const { first, second } = (await session.run(feeds)) as Params;
    first!.data[0] = 100;
    expect([...second!.data]).toEqual([2, 4]);
  });

  test("and so they are where they are held", async () => {
    const [session, adder] = [await engine.compile(twice.build()), await engine.compile(sum.build())];
    const [held, more] = [await engine.hold({}), await engine.hold({})];
    for (const kept of [held, more]) {
      await session.run(feeds, { held: kept, names: { first: "first", second: "second" } });
    }
    const vectors = { x: held, y: more };
    await adder.sweep({ names: ["first", "second"], vectors, rewrites: { next: "x" }, feeds: {} });
    const { first, second } = await held.read();
    expect([first, second].map((tensor) => [...tensor!.data])).toEqual([
      [4, 8],
      [4, 8],
    ]);
  });

  test("held tensors are read by name", async () => {
    const held = await engine.hold({ x: floats([1], [1]), y: floats([1], [2]) });
    expect(Object.keys(await held.read())).toEqual(["x", "y"]);
    const { y, ...others } = await held.read(["y"]);
    expect([...y!.data]).toEqual([2]);
    expect(others).toEqual({});
    await expect(held.read(["z"])).rejects.toMatchObject({ code: "ENGINE_FAILED", message: /"z"/ });
  });

  test("held tensors are written to and grow, and sessions read what is there", async () => {
    const held = await engine.hold({ x: floats([2], [1, 2]) });
    const session = await engine.compile(twice.build());
    await session.bind(held);
    await held.write("x", 1, Float32Array.of(5));
    expect([...(await session.run({})).first!.data]).toEqual([2, 10]);
    await held.grow("x", 4);
    await held.write("x", 2, Float32Array.of(7, 8));
    await session.bind(held);
    expect([...(await session.run({})).first!.data]).toEqual([2, 10, 14, 16]);
    const refused = { code: "ENGINE_FAILED" };
    await expect(held.write("x", 3, Float32Array.of(1, 2))).rejects.toMatchObject(refused);
    await expect(held.write("z", 0, Float32Array.of(1))).rejects.toMatchObject(refused);
    await expect(held.grow("z", 2)).rejects.toMatchObject(refused);
    await held.release();
    await expect(held.write("x", 0, Float32Array.of(1))).rejects.toMatchObject(refused);
  });

  test("tensors of another engine are refused wherever they may go", async () => {
    const others = nodeEngine({ threads: 1 });
    const foreign = await others.hold({ x: floats([1], [1]), y: floats([1], [1]) });
    const own = await engine.hold({ x: floats([1], [1]) });
    const [session, adder] = [await engine.compile(twice.build()), await engine.compile(sum.build())];
    const refused = { code: "ENGINE_FAILED", message: /held by another engine/ };
    await expect(session.bind(foreign)).rejects.toMatchObject(refused);
    await expect(session.run(feeds, { held: foreign, names: { first: "x" } })).rejects.toMatchObject(refused);
    await expect(
      adder.sweep({ names: ["x"], vectors: { x: own, y: foreign }, rewrites: { next: "x" }, feeds: {} }),
    ).rejects.toMatchObject(refused);
    expect([...(await session.run(feeds)).first!.data]).toEqual([2, 4]);
    await others.close();
  });

  test("what was released says so, and is released again in vain", async () => {
    const released = { code: "ENGINE_FAILED", message: /released/ };
    const session = await engine.compile(twice.build());
    await session.release();
    await session[Symbol.asyncDispose]();
    await expect(session.run(feeds)).rejects.toMatchObject(released);
    await expect(session.bind(feeds)).rejects.toMatchObject(released);
    const held = await engine.hold(feeds);
    await held.release();
    await held[Symbol.asyncDispose]();
    await expect(held.read()).rejects.toMatchObject(released);
    const other = await engine.compile(twice.build());
    await expect(other.run(feeds, { held, names: { first: "x" } })).rejects.toMatchObject(released);
  });
});

test.each([referenceEngine, () => nodeEngine({ threads: 1 })])(
  "a closed engine stays closed",
  async (make) => {
    const engine = make();
    const session = await engine.compile(twice.build());
    const held = await engine.hold({});
    const last = session.run({ x: floats([1], [4]) });
    await Promise.all([engine.close(), engine.close()]);
    // What was asked for before is answered.
    expect([...(await last).first!.data]).toEqual([8]);
    const closed = { code: "ENGINE_FAILED", message: /engine was closed/ };
    await expect(session.run({ x: floats([1], [4]) })).rejects.toMatchObject(closed);
    await expect(engine.compile(twice.build())).rejects.toMatchObject(closed);
    await expect(engine.hold({})).rejects.toMatchObject(closed);
    await expect(held.read()).rejects.toMatchObject(closed);
    await session.release();
    await held.release();
    await engine[Symbol.asyncDispose]();
  },
);
