/** What every engine does alike, beyond the numbers of ops. */
import { floats, type Params } from "ptuning/core";
import { nodeEngine, referenceEngine } from "ptuning/engine";
import { GraphBuilder } from "ptuning/graph";
import { afterAll, describe, expect, test } from "vitest";

const engines = [referenceEngine(), nodeEngine({ threads: 1 })];
afterAll(() => engines.map((engine) => engine.close()));

/** x → first and second: one value under two names. */
const twice = new GraphBuilder("twice");
const double = twice.op("Mul", [twice.input("x", "float32", ["N"]), twice.scalar(2)]);
for (const name of ["first", "second"]) twice.output(name, double);

/** x ← x + y */
const sum = new GraphBuilder("sum");
sum.output("next", sum.op("Add", [sum.input("x", "float32", ["N"]), sum.input("y", "float32", ["N"])]));

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
});
