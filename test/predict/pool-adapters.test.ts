/** Adapters come to a pool and go: in memory by a budget, replaced as a whole, and nothing is left open. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import type { Adapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { memoryFiles } from "ptuning/internal/files";
import { bitfit, deepPrompt, fineTuning, linearProbe } from "ptuning/internal/methods";
import { createPredictor, createPredictorPool } from "ptuning/internal/predict";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Injected, watchedEngine } from "../../tools/watched-engine.mjs";
import { randomAdapter, randomMultiTask } from "../support/random-adapter.ts";
import { tinyFolder, tinyRobertaFolder } from "../support/tiny.ts";

const { engine, watch } = watchedEngine(nodeEngine({ threads: 1 }));
const task = sequenceClassification({ labels: ["a", "b", "c"] }) as never;
const prompts = deepPrompt({ promptLength: 3 });
let backbone: Backbone;
let folder: string;
const adapters: Adapter[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-pool-"));
  backbone = await loadBackbone(tinyFolder, { engine });
  for (let i = 0; i < 4; i++) {
    adapters.push(randomAdapter(backbone, task, prompts, i));
    await adapters[i]!.save(join(folder, `${i}`));
  }
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const example = { text: "w1 w2 w3" };
const precision = "fp32";
const place = (i: number): string => join(folder, `${i}`);
async function answerOf(adapter: Adapter): Promise<unknown> {
  await using predictor = await createPredictor(adapter, backbone, { precision });
  return (await predictor.predict([example]))[0];
}
/** Bytes that one of them takes: prompt, matrix and bias in rows of 32 numbers. */
const bytes = 4 * (3 * 4 * 32 + 3 * 32 + 32);

describe("memory", () => {
  test("the least recently used goes, and is read again when it is asked", async () => {
    await using pool = await createPredictorPool(backbone, { precision, maxBytes: 2 * bytes });
    for (let i = 0; i < 3; i++) await pool.add(`${i}`, place(i), { pinned: i === 0 });
    const states = (): string[] => pool.list().map(({ state }) => state);
    expect(states()).toEqual(["ready", "unloaded", "ready"]);
    expect(pool.get("2")!.bytes).toBe(bytes);
    expect(pool.get("1")).toMatchObject({ bytes: 0, method: "p-tuning-v2" });
    // Pinned ones stay, also where they were asked longest ago.
    expect(await pool.predict([{ adapter: "1", example }])).toEqual([await answerOf(adapters[1]!)]);
    expect(states()).toEqual(["ready", "ready", "unloaded"]);
    const all = await pool.predict([0, 1, 2].map((i) => ({ adapter: `${i}`, example })));
    expect(all).toEqual(await Promise.all([0, 1, 2].map((i) => answerOf(adapters[i]!))));
    // Who is in use stays beyond the budget, and no longer.
    expect(states().filter((state) => state === "ready")).toHaveLength(2);
  });

  test("lazy ones are read when they are asked, by all that wait at once", async () => {
    await using pool = await createPredictorPool(backbone, { precision });
    for (let i = 0; i < 4; i++) await pool.add(`${i}`, place(i), { lazy: true });
    expect(
      pool
        .list()
        .every(({ state, bytes: held, tasks }) => state === "unloaded" && held === 0 && tasks.length === 0),
    ).toBe(true);
    const asked = Array.from({ length: 12 }, (_, i) => ({ adapter: `${i % 3}`, example }));
    const answers = await Promise.all(asked.map((one) => pool.predict([one])));
    for (const [i, [answer]] of answers.entries()) expect(answer).toEqual(await answerOf(adapters[i % 3]!));
    expect(pool.list().map(({ state }) => state)).toEqual(["ready", "ready", "ready", "unloaded"]);
  });

  test("equal contents are held once, and a prompt once for all of its tasks", async () => {
    await using pool = await createPredictorPool(backbone, { precision, maxBytes: 1.5 * bytes });
    const one = await pool.add("one", place(0));
    const files = await adapters[0]!.files();
    const two = await pool.add("two", memoryFiles("two", files));
    expect(two.fingerprint).toBe(one.fingerprint);
    expect(one.fingerprint).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(pool.list().map(({ state }) => state)).toEqual(["ready", "ready"]);
    expect(await pool.remove("one")).toBe(true);
    expect(await pool.predict([{ adapter: "two", example }])).toEqual([await answerOf(adapters[0]!)]);
    const several = randomMultiTask(backbone, { a: task, other: task }, prompts, 3);
    await pool.add("several", several, { pinned: true });
    expect(pool.get("several")!.bytes).toBe(bytes + 4 * (3 * 32 + 32));
  });

  test("rows that were freed are used again, whatever their order", async () => {
    await using pool = await createPredictorPool(backbone, { precision, maxBytes: 3 * bytes });
    for (let i = 0; i < 40; i++) {
      const [k, name] = [(i * 7) % 4, `n${(i * 3) % 5}`];
      if (i % 3 === 2) await pool.remove(name);
      else await pool.add(name, adapters[k]!, { lazy: i % 5 === 0 });
      const known = pool.list().map((found) => found.name);
      const answers = await pool.predict(known.map((adapter) => ({ adapter, example })));
      expect(answers).toHaveLength(known.length);
      if (known.includes(name)) expect(answers[known.indexOf(name)]).toEqual(await answerOf(adapters[k]!));
    }
  });
});

describe("changes", () => {
  test("what is under way ends with the adapter that it was asked of", async () => {
    await using pool = await createPredictorPool(backbone, { precision });
    await pool.add("it", place(0));
    const before = await pool.prepare("it", example);
    await pool.add("it", place(1));
    const after = await pool.prepare("it", example);
    expect(await pool.remove("it")).toBe(true);
    expect(await pool.remove("it")).toBe(false);
    await expect(pool.prepare("it", example)).rejects.toMatchObject({ code: "ADAPTER_UNKNOWN" });
    expect(await pool.run([after, before])).toEqual([
      await answerOf(adapters[1]!),
      await answerOf(adapters[0]!),
    ]);
    await expect(pool.run([before])).rejects.toThrow(/each run once/);
  });

  test("what cannot be read is listed with the reason, and an old one stays", async () => {
    await using pool = await createPredictorPool(backbone, { precision });
    const damaged = join(folder, "damaged");
    await cp(place(0), damaged, { recursive: true });
    await pool.add("kept", damaged);
    const weights = join(damaged, "adapter_model.safetensors");
    await writeFile(weights, (await readFile(weights)).subarray(0, 100));
    await expect(pool.add("kept", damaged)).rejects.toMatchObject({ code: "ADAPTER_INVALID" });
    expect(pool.get("kept")).toMatchObject({ state: "ready", error: { code: "ADAPTER_INVALID" } });
    expect(await pool.predict([{ adapter: "kept", example }])).toEqual([await answerOf(adapters[0]!)]);

    await expect(pool.add("broken", damaged)).rejects.toThrow(/adapter "broken": .*adapter_model/);
    const newer = join(folder, "newer");
    await cp(place(0), newer, { recursive: true });
    const sidecar = JSON.parse(await readFile(join(newer, "ptuning.json"), "utf8"));
    await writeFile(join(newer, "ptuning.json"), JSON.stringify({ ...sidecar, formatVersion: 999 }));
    await pool.add("newer", newer, { lazy: true });
    await expect(pool.prepare("newer", example)).rejects.toThrow(/adapter "newer": .*formatVersion/);
    const other = await loadBackbone(tinyRobertaFolder, { engine });
    await expect(pool.add("other", randomAdapter(other, task, prompts, 1))).rejects.toMatchObject({
      code: "ADAPTER_INCOMPATIBLE",
      message: expect.stringMatching(/^adapter "other": /),
    });
    const tuned = randomAdapter(backbone, task, linearProbe(), 1);
    const own = { ...tuned, method: fineTuning() } as Adapter;
    await expect(
      pool.add("tuned", Object.assign(Object.create(Object.getPrototypeOf(tuned)), own)),
    ).rejects.toThrow(/checkpoint of its own/);
    expect(pool.list().map(({ name, state }) => `${name} ${state}`)).toEqual(
      ["broken", "newer", "other", "tuned"].map((name) => `${name} failed`).toSpliced(1, 0, "kept ready"),
    );
    // Once it is whole it is read.
    await cp(place(2), newer, { recursive: true });
    expect(await pool.predict([{ adapter: "newer", example }])).toEqual([await answerOf(adapters[2]!)]);
    expect(pool.get("newer")).toMatchObject({ state: "ready" });
    expect(pool.get("newer")!.error).toBeUndefined();
  });

  test.each(["", "a:b", "../a", "a b", "x".repeat(257)])("refuses the name %j", async (name) => {
    await using pool = await createPredictorPool(backbone, { precision });
    expect(() => pool.add(name, adapters[0]!)).toThrow(/name: expected/);
  });

  test("names what is near, and what of an example is wrong for which adapter", async () => {
    await using pool = await createPredictorPool(backbone, { precision });
    await pool.add("reviews", adapters[0]!);
    await expect(pool.prepare("review", example)).rejects.toMatchObject({ hint: 'Did you mean "reviews"?' });
    const foreign = { text: "w1", label: "no label" };
    await expect(pool.prepare("reviews", foreign)).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringMatching(/^adapter "reviews": /),
    });
  });

  test("tells what an example costs", async () => {
    await using pool = await createPredictorPool(backbone, { precision });
    await pool.add("it", adapters[0]!);
    using item = await pool.prepare("it", { text: Array(40).fill("w1").join(" ") });
    // 16 positions of text and 3 of the prompt.
    expect(item).toMatchObject({
      adapter: "it",
      sequences: 1,
      tokens: 16,
      paddedTokens: 19,
      truncated: true,
    });
  });
});

/** All that a pool does, given what may end it. */
async function work(signal?: AbortSignal): Promise<unknown> {
  const stop = signal ? { signal } : {};
  await using pool = await createPredictorPool(backbone, { precision: "int8", maxBytes: 2 * bytes, ...stop });
  await pool.add("a", place(0), stop);
  await pool.add("b", adapters[1]!, { lazy: true });
  await pool.add("bias", randomAdapter(backbone, task, bitfit(), 1), stop);
  const items = [await pool.prepare("a", example, stop), await pool.prepare("b", example, stop)];
  await pool.add("a", place(2), stop);
  await pool.run(items, stop);
  await pool.remove("bias");
  using _dropped = await pool.prepare("b", example, stop);
  return await pool.predict(
    ["a", "b", "a"].map((adapter) => ({ adapter, example })),
    stop,
  );
}

describe("nothing is left open", () => {
  let calls = 0;
  beforeAll(async () => {
    await work();
    watch.reset();
    await work();
    calls = watch.calls;
    expect(watch.open).toBe(0);
  });

  test("wherever the engine fails", async () => {
    expect(calls).toBeGreaterThan(10);
    for (let n = 1; n <= calls; n++) {
      watch.reset(n);
      const outcome = await work().then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(outcome, `call ${n} of ${calls}`).toBeInstanceOf(Injected);
      expect(watch.open, `call ${n} of ${calls}`).toBe(0);
    }
    watch.reset();
  });

  test("at any abort", async () => {
    for (let n = 1; n <= calls; n++) {
      const stopping = new AbortController();
      watch.reset(n, () => stopping.abort());
      const outcome = await work(stopping.signal).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (outcome !== undefined) expect(outcome, `call ${n} of ${calls}`).toBe(stopping.signal.reason);
      else expect(n, `call ${n} of ${calls}`).toBeGreaterThan(calls - 2);
      expect(watch.open, `call ${n} of ${calls}`).toBe(0);
    }
    watch.reset();
  });

  test("what is aborted before it begins does nothing", async () => {
    const signal = AbortSignal.abort();
    watch.reset();
    await expect(work(signal)).rejects.toBe(signal.reason);
    expect(watch.calls).toBe(0);
  });

  test("a closed pool answers nothing, and lets what runs end", async () => {
    const pool = await createPredictorPool(backbone, { precision });
    await pool.add("a", adapters[0]!);
    const running = pool.predict([{ adapter: "a", example }]);
    const item = await pool.prepare("a", example);
    await Promise.all([pool.close(), pool.close()]);
    expect(await running).toEqual([await answerOf(adapters[0]!)]);
    await expect(pool.run([item])).rejects.toMatchObject({ code: "ENGINE_FAILED" });
    await expect(pool.predict([{ adapter: "a", example }])).rejects.toThrow(/closed/);
    await expect(pool.add("b", adapters[1]!)).rejects.toThrow(/closed/);
    expect(watch.open).toBe(0);
  });
});
