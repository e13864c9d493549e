/** Training states: whose they are, what their files notice, and which numbers they take. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { bytesOf, type Params, Rng, type Tensor, type TypedArray } from "ptuning/internal/core";
import { encodeSafetensors, hashText, readSafetensors } from "ptuning/internal/files";
import { fineTuning } from "ptuning/internal/methods";
import {
  type CheckpointEvent,
  readState,
  type TrainingState,
  type TrainOptions,
  train,
  writeState,
} from "ptuning/internal/train";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyOptions, writeTinyBackbone } from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
let path: string;
let state: TrainingState;

beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-state-"));
  path = join(folder, "state.safetensors");
  [state] = ofType(await eventsOf(tinyOptions(backbone, { epochs: 2 })), "checkpoint").map(
    (event) => event.state,
  ) as [TrainingState];
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

/** A state with the hashes of its tensors: one by one, millions of numbers are compared in minutes. */
function outline(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return hashText(bytesOf(value as TypedArray));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, outline(inner)]));
}

const losses = (events: Awaited<ReturnType<typeof eventsOf>>): number[] =>
  ofType(events, "step").map(({ loss }) => loss);

describe("a checkpoint", () => {
  const run = (change: Partial<TrainOptions> = {}) => tinyOptions(backbone, { epochs: 2, ...change });

  test.each(["tensors on the host", "tensors with the engine"])(
    "hands out a state that the run does not change: %s",
    async (place) => {
      // The words that texts use come first: the others only make the table large.
      const isLarge = place === "tensors with the engine";
      const large = {
        backbone: await loadBackbone(writeTinyBackbone(join(folder, "large"), 1, { vocab: 1 << 17 })),
      };
      const change: Partial<TrainOptions> = isLarge
        ? { method: fineTuning(), evaluateEvery: 6, ...large }
        : {};
      let kept: TrainingState | undefined;
      let before: unknown;
      let rest: number[] = [];
      for await (const event of train(run(change))) {
        if (event.type === "checkpoint" && kept === undefined) {
          kept = await event.state();
          before = outline(kept);
          rest = [];
        }
        if (event.type === "step") rest.push(event.loss);
      }
      expect(outline(kept)).toEqual(before);
      expect(losses(await eventsOf(run({ ...change, resume: kept! })))).toEqual(rest);
      await large.backbone.close();
    },
  );

  test("is refused once the run has gone on, and waited for where it was begun in time", async () => {
    let stale: CheckpointEvent | undefined;
    let begun: Promise<void> | undefined;
    for await (const event of train(run({ epochs: 1, evaluateEvery: 4 }))) {
      if (stale && event.type === "step") {
        await expect(stale.state()).rejects.toMatchObject({ code: "RUN_INVALID", message: /step 4/ });
        await expect(stale.save(path)).rejects.toMatchObject({ code: "RUN_INVALID" });
      }
      if (event.type !== "checkpoint" || stale) continue;
      stale = event;
      // Not awaited: the run itself waits.
      begun = event.save(path);
    }
    await begun;
    expect((await readState(path)).step).toBe(4);
  });

  test("writes what it hands out", async () => {
    for await (const event of train(run({ epochs: 1 }))) {
      if (event.type !== "checkpoint") continue;
      await event.save(path);
      expect(await readState(path)).toEqual(await event.state());
    }
  });
});

describe("the file of a state", () => {
  test("keeps numbers that JSON has not", async () => {
    const [evaluation] = state.evaluations;
    const odd = {
      ...state,
      lossSum: Number.POSITIVE_INFINITY,
      evaluations: [
        { ...evaluation!, scores: { pearson: Number.NaN, accuracy: 0.5 }, loss: Number.NEGATIVE_INFINITY },
      ],
    };
    await writeState(path, odd);
    expect(await readState(path)).toEqual(odd);
  });

  test("notices every changed, missing or added byte", async () => {
    await writeState(path, state);
    const bytes = await readFile(path);
    const rng = new Rng(7);
    const damaged = join(folder, "damaged.safetensors");
    for (let i = 0; i < 300; i++) {
      const changed = Buffer.from(bytes);
      const at = rng.integer(bytes.length);
      changed[at]! ^= 1 << rng.integer(8);
      await writeFile(damaged, changed);
      await expect(readState(damaged), `bit of byte ${at}`).rejects.toMatchObject({ code: "RUN_INVALID" });
    }
    for (const other of [
      bytes.subarray(0, -1),
      bytes.subarray(0, 1000),
      Buffer.concat([bytes, Buffer.of(0)]),
    ]) {
      await writeFile(damaged, other);
      await expect(readState(damaged)).rejects.toMatchObject({ code: "RUN_INVALID" });
    }
  });

  test("of version 1, without a checksum, is read; one of a later version is refused with what to do", async () => {
    await writeState(path, state);
    const { tensors, metadata } = await readSafetensors(path);
    const { sha256, ...own } = tensors;
    expect(sha256!.shape).toEqual([32]);
    const { formatVersion, ...facts } = JSON.parse(metadata.ptuning!);
    expect(formatVersion).toBe(2);
    const write = (json: object, all: Record<string, Tensor> = own) =>
      writeFile(path, encodeSafetensors(all, { ptuning: JSON.stringify(json) }));
    const scores = { accuracy: null };
    await write({ ...facts, evaluations: [{ ...facts.evaluations[0], scores }] });
    const old = await readState(path);
    expect(old.params).toEqual(state.params);
    expect(old.evaluations[0]!.scores).toEqual({ accuracy: Number.NaN });
    await write({ ...facts, formatVersion: 3 });
    await expect(readState(path)).rejects.toMatchObject({ code: "RUN_INVALID", hint: /update the package/ });
    await write({ ...facts, formatVersion: 2 });
    await expect(readState(path)).rejects.toMatchObject({ code: "RUN_INVALID", message: /checksum/ });
  });

  test.each([
    [{ step: -5 }, "step"],
    [{ step: 1.5 }, "step"],
    [{ step: "4" }, "step"],
    [{ lossCount: -1 }, "lossCount"],
    [{ identity: 5 }, "identity"],
    [{ evaluations: {} }, "evaluations"],
    [{ origin: null }, "origin"],
  ])("refuses %j by name", async (change, key) => {
    await writeState(path, { ...state, ...(change as object) });
    await expect(readState(path)).rejects.toMatchObject({
      code: "RUN_INVALID",
      message: expect.stringContaining(key),
    });
  });
});

test.each<[string, Partial<TrainingState>]>([
  ["a step behind the last", { step: 1e9 }],
  ["a negative step", { step: -5 }],
  ["more losses than steps", { lossCount: 1e6 }],
  ["no tensors", { params: {} }],
])("a run does not go on from %s", async (_, change) => {
  const resume = { ...state, ...change };
  await expect(eventsOf(tinyOptions(backbone, { epochs: 2, resume }))).rejects.toMatchObject({
    code: "RUN_INVALID",
  });
});

test("a run does not go on from tensors of other shapes", async () => {
  const name = Object.keys(state.params)[0]!;
  const params: Params = {
    ...state.params,
    [name]: { dtype: "float32", shape: [1], data: new Float32Array(1) },
  };
  const resume = { ...state, params };
  await expect(eventsOf(tinyOptions(backbone, { epochs: 2, resume }))).rejects.toThrow(name);
});

test("saving leaves nothing but the file", async () => {
  const place = join(folder, "alone");
  await rm(place, { recursive: true, force: true });
  await mkdtemp(place).then((made) => writeState(join(made, "state.safetensors"), state));
  const [made] = (await readdir(folder)).filter((name) => name.startsWith("alone"));
  expect(await readdir(join(folder, made!))).toEqual(["state.safetensors"]);
});
