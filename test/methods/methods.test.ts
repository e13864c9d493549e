/** What each method says of itself, and short runs on a tiny backbone. */
import type { Backbone } from "ptuning/internal/backbones";
import { bitfit, fineTuning, linearProbe, methodFrom, methods } from "ptuning/internal/methods";
import { paramShapes } from "ptuning/internal/model";
import type { TrainOptions } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { relativeError } from "../support/golden.ts";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
beforeAll(async () => {
  backbone = await tinyBackbone();
});
afterAll(() => backbone.close());

describe.each(Object.keys(methods))("%s", (name) => {
  const method = methodFrom(name, {});

  test("is made again from its name and options", () => {
    expect(method.name).toBe(name);
    expect(methodFrom(name, structuredClone(method.options)).options).toEqual(method.options);
    expect(method.deployed.deployed).toBe(method.deployed);
  });

  test("learns in a short run with its own defaults, and its adapter says how", async () => {
    const { learningRate, ...options } = tinyOptions(backbone, { method, epochs: 2 });
    const events = await eventsOf(options);
    const [start] = ofType(events, "start");
    expect(start!.settings).toMatchObject({ precision: "fp32", ...method.defaults });
    const losses = ofType(events, "step").map(({ loss }) => loss);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    const [done] = ofType(events, "done");
    expect(done!.adapter.method.name).toBe(method.deployed.name);
    expect(done!.adapter.provenance.training).toMatchObject({ method: name, optimizer: "adamw" });
  });
});

describe("what is trained", () => {
  const E = 32;
  const inventoryOf = async (method: ReturnType<typeof bitfit>) =>
    ofType(await eventsOf(tinyOptions(backbone, { method, epochs: 1 })), "start")[0]!.inventory;

  test("the head alone", async () => {
    expect(await inventoryOf(linearProbe())).toMatchObject({
      trainable: { head: 3 * E + 3 },
      frozen: backbone.parameterCount,
    });
  });

  test("biases that have an effect: none of keys, none of a pooler that is not used", async () => {
    // Two layers: query, value, output, its norm, wide, narrow, its norm; and the norm of the embeddings.
    const biases = 2 * (6 * E + 64) + E;
    expect(await inventoryOf(bitfit())).toMatchObject({
      trainable: { backbone: biases, head: 3 * E + 3 },
      frozen: backbone.parameterCount - biases,
    });
  });

  test("every weight that the logits depend on", async () => {
    const unused = 2 * E + (E * E + E);
    expect(await inventoryOf(fineTuning())).toMatchObject({
      trainable: { backbone: backbone.parameterCount - unused },
      frozen: unused,
    });
  });

  test("the pooler where the head reads it", () => {
    const poolerOf = (pooling: "pooler" | "mean"): string[] => {
      const { head } = sequenceClassification({ labels: ["a", "b"], pooling });
      const shapes = paramShapes({ backbone, method: bitfit(), head });
      return Object.keys(shapes).filter((name) => name.includes("pooler"));
    };
    expect(poolerOf("pooler")).toEqual(["backbone.pooler.dense.bias"]);
    expect(poolerOf("mean")).toEqual([]);
  });
});

describe("settings", () => {
  test("Adafactor brings the published settings of prompt tuning", async () => {
    const { learningRate, ...options } = tinyOptions(backbone, { epochs: 1, optimizer: "adafactor" });
    const events = await eventsOf({ ...options, method: linearProbe() });
    expect(ofType(events, "start")[0]!.settings).toMatchObject({
      learningRate: 0.3,
      schedule: "constant",
      weightDecay: 1e-5,
    });
  });

  test("int8 layers are refused where they would have to learn", async () => {
    await expect(
      eventsOf(tinyOptions(backbone, { method: fineTuning(), precision: "int8" })),
    ).rejects.toThrow(/precision: expected fp32 with fine-tuning, as .*, got int8/);
    const auto = await eventsOf(
      tinyOptions(backbone, { method: fineTuning(), precision: "auto", epochs: 1 }),
    );
    expect(ofType(auto, "start")[0]!.settings.precision).toBe("fp32");
  });

  test.each(["cls", "mean"] as const)(
    "a probe on cached features learns the same: pooling %s",
    async (pooling) => {
      const task = sequenceClassification({ labels: tinyData.labels, pooling });
      const lossesWith = async (trunkCache: "off" | "memory"): Promise<number[]> => {
        const options = tinyOptions(backbone, { method: linearProbe(), epochs: 1, trunkCache });
        const dropouts = { hiddenDropout: 0, attentionDropout: 0 };
        const events = await eventsOf({ ...options, ...dropouts, task: task as TrainOptions["task"] });
        return ofType(events, "step").map(({ loss }) => loss);
      };
      const [plain, cached] = [await lossesWith("off"), await lossesWith("memory")];
      expect(relativeError(cached, plain)).toBeLessThan(1e-5);
    },
  );

  test("BitFit trains the biases of int8 layers", async () => {
    const events = await eventsOf(tinyOptions(backbone, { method: bitfit(), precision: "int8", epochs: 2 }));
    const losses = ofType(events, "step").map(({ loss }) => loss);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });
});
