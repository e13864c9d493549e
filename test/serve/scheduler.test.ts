import fc from "fast-check";
import { FairQueue, type Overloaded, Scheduler } from "ptuning/internal/serve";
import { describe, expect, test } from "vitest";

interface Item {
  readonly adapter: string;
  readonly tokens: number;
  readonly value: number;
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** An engine whose runs end when they are told. */
function heldEngine() {
  const runs: { readonly items: readonly Item[]; end(error?: Error): void }[] = [];
  const waiting: (() => void)[] = [];
  const run = (items: readonly Item[]): Promise<number[]> =>
    new Promise((resolve, reject) => {
      runs.push({
        items,
        end: (error) => (error ? reject(error) : resolve(items.map(({ value }) => value * 10))),
      });
      waiting.shift()?.();
    });
  const next = async (count: number): Promise<void> => {
    while (runs.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { run, runs, next };
}

const item = (adapter: string, value: number, tokens = 10): Item => ({ adapter, tokens, value });
const ready = (...items: Item[]) => [items.length, async () => items] as const;

function scheduler(
  engine: { run(items: readonly Item[]): Promise<number[]> },
  change: Partial<ConstructorParameters<typeof Scheduler<Item, number>>[0]> = {},
): Scheduler<Item, number> {
  return new Scheduler<Item, number>({
    run: engine.run,
    maxBatchTokens: 40,
    maxQueueTexts: 100,
    ...change,
  });
}

describe("a scheduler", () => {
  test("runs the first text at once, and then what came meanwhile, up to the budget", async () => {
    const engine = heldEngine();
    const facts: unknown[] = [];
    const own = scheduler(engine, { onBatch: ({ texts, reason }) => facts.push([texts, reason]) });
    const first = own.submit(...ready(item("a", 1)));
    await engine.next(1);
    const rest = [2, 3, 4, 5, 6, 7].map((value) => own.submit(...ready(item("a", value))));
    await later(5);
    expect(engine.runs).toHaveLength(1);
    expect(own.waiting).toBe(6);
    engine.runs[0]!.end();
    expect((await first).answers).toEqual([10]);
    await engine.next(2);
    expect(engine.runs[1]!.items.map(({ value }) => value)).toEqual([2, 3, 4, 5]);
    engine.runs[1]!.end();
    await engine.next(3);
    engine.runs[2]!.end();
    expect((await Promise.all(rest)).map(({ answers }) => answers[0])).toEqual([20, 30, 40, 50, 60, 70]);
    await own.idle();
    expect(facts).toEqual([
      [1, "budget"],
      [4, "budget"],
      [2, "all"],
    ]);
  });

  test("runs a text that is larger than the budget, by itself", async () => {
    const engine = heldEngine();
    const own = scheduler(engine);
    const all = [1, 2, 3].map((value) => own.submit(...ready(item("a", value, value === 2 ? 1000 : 10))));
    for (const n of [1, 2, 3]) {
      await engine.next(n);
      expect(engine.runs[n - 1]!.items.map(({ value }) => value)).toEqual([n]);
      engine.runs[n - 1]!.end();
    }
    await Promise.all(all);
  });

  test("counts texts, in whatever requests they come, and says when to come again", async () => {
    const engine = heldEngine();
    const own = scheduler(engine, { maxQueueTexts: 3 });
    const first = own.submit(...ready(item("a", 0)));
    await engine.next(1);
    const two = own.submit(...ready(item("a", 1), item("a", 2)));
    const refusal = await own
      .submit(...ready(item("b", 3), item("b", 4)))
      .catch((error) => error as Overloaded);
    expect(refusal).toMatchObject({ code: "OVERLOADED" });
    expect((refusal as Overloaded).retryAfterSeconds).toBeGreaterThanOrEqual(1);
    const one = own.submit(...ready(item("b", 3)));
    await expect(own.submit(...ready(item("b", 4)))).rejects.toMatchObject({ code: "OVERLOADED" });
    await later(2);
    engine.runs[0]!.end();
    await engine.next(2);
    engine.runs[1]!.end();
    expect((await Promise.all([first, two, one])).map(({ answers }) => answers)).toEqual([
      [0],
      [10, 20],
      [30],
    ]);
  });

  test("counts texts that are still being prepared", async () => {
    const engine = heldEngine();
    const own = scheduler(engine, { maxQueueTexts: 3 });
    let go: (items: Item[]) => void = () => {};
    const slow = own.submit(2, () => {
      return new Promise<Item[]>((resolve) => {
        go = resolve;
      });
    });
    await expect(own.submit(...ready(item("b", 3), item("b", 4)))).rejects.toMatchObject({
      code: "OVERLOADED",
    });
    go([item("a", 1), item("a", 2)]);
    await engine.next(1);
    engine.runs[0]!.end();
    expect((await slow).answers).toEqual([10, 20]);
    expect(own.waiting).toBe(0);
  });

  test("takes from adapters in turn: one that sends much keeps nobody waiting", async () => {
    const engine = heldEngine();
    const own = scheduler(engine);
    const first = own.submit(...ready(item("busy", 0)));
    await engine.next(1);
    const busy = own.submit(...ready(...Array.from({ length: 20 }, (_, i) => item("busy", 100 + i))));
    const quiet = own.submit(...ready(item("quiet", 1)));
    const other = own.submit(...ready(item("other", 2)));
    engine.runs[0]!.end();
    await engine.next(2);
    const taken = engine.runs[1]!.items.map(({ adapter }) => adapter);
    expect(taken).toContain("quiet");
    expect(taken).toContain("other");
    for (let n = 1; engine.runs.length > n - 1 && own.waiting + engine.runs.length > n; n++) {
      engine.runs[n]?.end();
      await later(1);
    }
    for (const run of engine.runs) run.end();
    expect((await quiet).answers).toEqual([10]);
    expect((await other).answers).toEqual([20]);
    expect((await busy).answers).toHaveLength(20);
    await first;
  });

  test("lets abandoned requests leave the queue, and gives back what they had", async () => {
    const engine = heldEngine();
    const dropped: number[] = [];
    const own = scheduler(engine, { drop: ({ value }) => dropped.push(value) });
    const first = own.submit(...ready(item("a", 0)));
    await engine.next(1);
    const controller = new AbortController();
    const gone = own.submit(...ready(item("a", 1), item("b", 2)), { signal: controller.signal });
    const stays = own.submit(...ready(item("a", 3)));
    await later(2);
    controller.abort(new Error("gone"));
    await expect(gone).rejects.toThrow("gone");
    expect(own.waiting).toBe(1);
    expect(dropped.sort()).toEqual([1, 2]);
    engine.runs[0]!.end();
    await engine.next(2);
    expect(engine.runs[1]!.items.map(({ value }) => value)).toEqual([3]);
    engine.runs[1]!.end();
    await Promise.all([first, stays]);
    // Who is gone before it is prepared has nothing queued later.
    const early = new AbortController();
    const never = own.submit(1, () => later(5).then(() => [item("a", 9)]), { signal: early.signal });
    early.abort(new Error("early"));
    await expect(never).rejects.toThrow("early");
    await own.idle();
    expect(dropped).toContain(9);
    expect(engine.runs).toHaveLength(2);
  });

  test("ends requests at their deadline, waiting or running", async () => {
    const engine = heldEngine();
    const own = scheduler(engine);
    const running = own.submit(...ready(item("a", 0)), { timeoutMs: 40 });
    await engine.next(1);
    const waiting = own.submit(...ready(item("a", 1)), { timeoutMs: 20 });
    const both = await Promise.allSettled([running, waiting]);
    const late = { status: "rejected", reason: { code: "DEADLINE_EXCEEDED" } };
    expect(both).toMatchObject([late, late]);
    expect(own.waiting).toBe(0);
    engine.runs[0]!.end();
    await own.idle();
    expect(engine.runs).toHaveLength(1);
  });

  test("does not let one adapter's failure be another's", async () => {
    const run = async (items: readonly Item[]): Promise<number[]> => {
      if (items.some(({ adapter }) => adapter === "bad")) throw new Error("bad adapter");
      return items.map(({ value }) => value * 10);
    };
    const own = scheduler({ run });
    const all = await Promise.allSettled([
      own.submit(...ready(item("good", 1))),
      own.submit(...ready(item("bad", 2))),
      own.submit(...ready(item("fine", 3))),
    ]);
    expect(all.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    await own.idle();
  });

  test("gives each of many random callers its own answers, none lost or doubled", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            texts: fc.array(
              fc.record({ adapter: fc.constantFrom("a", "b", "c"), tokens: fc.integer({ min: 1, max: 60 }) }),
              {
                maxLength: 6,
              },
            ),
            delay: fc.integer({ min: 0, max: 3 }),
            abort: fc.option(fc.integer({ min: 0, max: 3 }), { freq: 3 }),
          }),
          { maxLength: 15 },
        ),
        async (requests) => {
          let seen = 0;
          let running = 0;
          const run = async (items: readonly Item[]): Promise<number[]> => {
            expect(++running).toBe(1);
            expect(items.length === 1 || items.reduce((sum, { tokens }) => sum + tokens, 0) <= 40).toBe(true);
            seen += items.length;
            await later(1);
            running--;
            return items.map(({ value }) => value * 10);
          };
          let dropped = 0;
          const own = scheduler({ run }, { drop: () => dropped++ });
          let next = 0;
          let texts = 0;
          await Promise.all(
            requests.map(async ({ texts: wanted, delay, abort }) => {
              const items = wanted.map(({ adapter, tokens }) => ({ adapter, tokens, value: next++ }));
              texts += items.length;
              await later(delay);
              const controller = new AbortController();
              if (abort !== null) setTimeout(() => controller.abort(), abort);
              await own
                .submit(...ready(...items), { signal: controller.signal })
                .then(({ answers }) => expect(answers).toEqual(items.map(({ value }) => value * 10)))
                .catch((error) => expect(abort === null ? error : "aborted").toBe("aborted"));
            }),
          );
          await own.idle();
          expect(seen + dropped).toBe(texts);
          expect(own.waiting).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("a fair queue", () => {
  test("shares out tokens, whatever the texts cost and whoever sends more", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 40, maxLength: 80 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 40, maxLength: 80 }),
        (a, b) => {
          const queue = new FairQueue<{ adapter: string; tokens: number }>();
          for (const tokens of a) queue.push({ adapter: "a", tokens });
          for (const tokens of b) queue.push({ adapter: "b", tokens });
          const given = { a: 0, b: 0 };
          // While both have something waiting, neither is ahead by more than one text of theirs.
          for (let i = 0; i < 40; i++) {
            const [{ adapter, tokens }] = queue.take(0) as [{ adapter: "a" | "b"; tokens: number }];
            given[adapter] += tokens;
            expect(Math.abs(given.a - given.b)).toBeLessThanOrEqual(50);
          }
        },
      ),
    );
  });

  test("lets nobody save up turns while silent", () => {
    const queue = new FairQueue<{ adapter: string; tokens: number }>();
    for (let i = 0; i < 100; i++) queue.push({ adapter: "a", tokens: 10 });
    queue.take(500);
    for (let i = 0; i < 100; i++) queue.push({ adapter: "b", tokens: 10 });
    const adapters = queue.take(200).map(({ adapter }) => adapter);
    expect(adapters.filter((adapter) => adapter === "a").length).toBeGreaterThanOrEqual(9);
  });

  test("forgets who is served long ago", () => {
    const queue = new FairQueue<{ adapter: string; tokens: number }>();
    for (let i = 0; i < 30_000; i++) {
      queue.push({ adapter: `once ${i}`, tokens: 1 });
      queue.take(1);
    }
    expect(queue.size).toBe(0);
    expect(queue.tokens).toBe(0);
  });
});
