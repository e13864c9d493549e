/** The routes of a server over two adapters of a tiny backbone, by what they send, byte for byte where that matters. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceClient } from "@huggingface/inference";
import { createClient } from "ptuning/client";
import type { Adapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { createPredictor, type Predictor } from "ptuning/internal/predict";
import { addKey, type RunningServer, startServer } from "ptuning/serve";
import type { TextPrediction } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyExamples, tinyOptions } from "../support/tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-serve-"));
const adapters = join(folder, "adapters");
let backbone: Backbone;
let offline: Predictor<unknown, TextPrediction>;
let server: RunningServer;
let guarded: RunningServer;
let key: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  const adapter: Adapter = ofType(await eventsOf(tinyOptions(backbone, { epochs: 1 })), "done")[0]!.adapter;
  await adapter.save(join(adapters, "one"));
  await adapter.save(join(adapters, "two"));
  await adapter.save(join(adapters, "broken"));
  writeFileSync(join(adapters, "broken", "adapter_model.safetensors"), "no tensors");
  offline = await createPredictor(adapter, backbone, { precision: "fp32" });
  const common = { backbone, adapters, precision: "fp32", port: 0 } as const;
  server = await startServer({ ...common, keys: "anyone", adminPort: 0, maxClientBatch: 32 });
  const file = join(folder, "keys.json");
  key = await addKey(file, "team", { adapters: ["on*"] });
  guarded = await startServer({ ...common, keys: { file } });
});
afterAll(async () => {
  await server?.close();
  await guarded?.close();
  await offline?.close();
  await backbone?.close();
  rmSync(folder, { recursive: true });
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}, url = server.url) =>
  fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
const texts = tinyExamples(20, 9).map(({ text }) => text);

describe("the task routes", () => {
  test("answer one text with a list in a list, and several with one each", async () => {
    const one = await post("/models/one", { inputs: texts[0] });
    expect(one.status).toBe(200);
    const [prediction] = await offline.predict([{ text: texts[0] }]);
    const best = Object.entries(prediction!.probabilities).sort((a, b) => b[1] - a[1]);
    const labels = best.map(([label, score]) => ({ label, score }));
    expect(await one.json()).toEqual([labels]);
    expect(one.headers.get("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    for (const name of ["x-queue-time", "x-tokenization-time", "x-inference-time", "x-total-time"]) {
      expect(one.headers.get(name)).toMatch(/^\d+$/);
    }
    const two = await post("/models/two", { inputs: texts, parameters: { top_k: 1 } });
    const answers = (await two.json()) as { label: string }[][];
    expect(answers.map(([answer]) => answer!.label)).toEqual(
      (await offline.predict(texts.map((text) => ({ text })))).map(({ label }) => label),
    );
  });

  test("work with the unchanged client of Hugging Face", async () => {
    const client = new InferenceClient(undefined, { endpointUrl: `${server.url}/models/one` });
    const answer = await client.textClassification({ inputs: texts[1]! });
    const [prediction] = await offline.predict([{ text: texts[1] }]);
    expect(answer[0]).toEqual({ label: prediction!.label, score: prediction!.score });
  });
});

test("several adapters are answered in one request, and what cannot be says so by itself", async () => {
  const requests = [
    { model: "one", inputs: texts[0], parameters: { format: "prediction" } },
    { model: "nobody", inputs: texts[0] },
    { model: "broken", inputs: texts[0] },
    {
      model: "two",
      inputs: [texts[1], { text: texts[2], text_pair: texts[3] }],
      parameters: { format: "prediction" },
    },
    { model: "one", inputs: 7 },
  ];
  const { results } = (await (await post("/v1/predict", { requests })).json()) as {
    results: { output?: unknown; code?: string; error?: string }[];
  };
  const expected = await offline.predict([
    { text: texts[0] },
    { text: texts[1] },
    { text: texts[2], pair: texts[3] },
  ]);
  expect(results[0]!.output).toEqual(expected[0]);
  expect(results[3]!.output).toEqual(expected.slice(1));
  expect(results.map(({ code }) => code)).toEqual([
    undefined,
    "ADAPTER_UNKNOWN",
    "ADAPTER_INVALID",
    undefined,
    "REQUEST_INVALID",
  ]);
  expect(JSON.stringify(results)).not.toContain(folder);
});

test("the Open Inference Protocol has tensors, one row per text", async () => {
  const tensor = { name: "text", shape: [2], datatype: "BYTES", data: [texts[0], texts[1]] };
  const response = await post("/v2/models/one/infer", { id: "7", inputs: [tensor] });
  const predictions = await offline.predict([{ text: texts[0] }, { text: texts[1] }]);
  expect(await response.json()).toEqual({
    model_name: "one",
    model_version: expect.any(String),
    id: "7",
    outputs: [
      { name: "label", datatype: "BYTES", shape: [2], data: predictions.map(({ label }) => label) },
      {
        name: "probabilities",
        datatype: "FP32",
        shape: [2, 3],
        data: predictions.flatMap(({ probabilities }) =>
          tinyData.labels.map((label) => probabilities[label]),
        ),
      },
    ],
  });
  expect(await (await fetch(`${server.url}/v2/health/ready`)).json()).toEqual({ live: true, ready: true });
  expect((await fetch(`${server.url}/v2/models/one`)).status).toBe(200);
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: object };
  expect(Object.keys(document.paths)).toContain("/v1/predict");
});

test("hostile requests get our errors, and the next one its answer", async () => {
  const deep = "[".repeat(100_000);
  const tries: [Promise<Response>, number][] = [
    [post("/models/one", "{"), 400],
    [post("/models/one", deep), 400],
    [post("/models/one", { inputs: { text: 1 } }), 400],
    [post("/models/one", { inputs: "w1", parameters: { unknown: 1 } }), 400],
    [post("/models/one", { inputs: Array(33).fill("w1") }), 413],
    [post("/models/one", { inputs: "w".repeat(60_000) }), 413],
    [post("/models/one", `"${"w".repeat(3 * 2 ** 20)}"`), 413],
    [post("/models/one", { inputs: "w1" }, { "content-type": "text/plain" }), 415],
    [post("/models/..%2f..%2fetc", { inputs: "w1" }), 404],
    [post("/models/%00", { inputs: "w1" }), 404],
    [post("/models/__proto__", { inputs: "w1" }), 404],
    [post("/models/one:none", { inputs: "w1" }), 404],
    [post("/nowhere", {}), 404],
    [fetch(`${server.url}/models/one`), 405],
    [post("/models/one", { inputs: "w1 ".repeat(100), parameters: { truncate: false } }), 422],
    [post("/models/one", { inputs: "w1", parameters: { function_to_apply: "sigmoid" } }), 422],
    [post("/models/broken", { inputs: "w1" }), 424],
  ];
  for (const [response, status] of tries) {
    const { status: got, ...rest } = await response.then(async (r) => ({
      status: r.status,
      body: await r.json(),
    }));
    expect([got, rest]).toEqual([
      status,
      {
        body: expect.objectContaining({
          error: expect.any(String),
          code: expect.stringMatching(/^[A-Z_]+$/),
        }),
      },
    ]);
    expect(JSON.stringify(rest)).not.toMatch(/\bat .*\.js|node_modules/);
  }
  expect((await post("/models/one", { inputs: "w1" })).status).toBe(200);
});

test("keys open the adapters of their scope and nothing else", async () => {
  const { url } = guarded;
  expect((await post("/models/one", { inputs: "w1" }, {}, url)).status).toBe(401);
  expect((await post("/models/one", { inputs: "w1" }, { authorization: "Bearer wrong" }, url)).status).toBe(
    401,
  );
  const authorization = `Bearer ${key}`;
  expect((await post("/models/one", { inputs: "w1" }, { authorization }, url)).status).toBe(200);
  expect((await post("/models/two", { inputs: "w1" }, { authorization }, url)).status).toBe(403);
  expect((await fetch(`${url}/metrics`, { headers: { authorization } })).status).toBe(403);
  expect((await fetch(`${url}/v2/health/live`)).status).toBe(200);
  const client = createClient({ url, key, pieceSize: 7 });
  expect((await client.models()).map(({ id }) => id)).toEqual(["one"]);
  expect(await client.predict("one", texts)).toEqual(await offline.predict(texts.map((text) => ({ text }))));
});

test("adapters come and go through the admin API", async () => {
  const admin = server.adminUrl!;
  const unload = await post("/v2/repository/models/two/unload", {}, {}, admin);
  expect(unload.status).toBe(200);
  expect((await post("/models/two", { inputs: "w1" })).status).toBe(404);
  expect((await post("/v2/repository/models/two/load", {}, {}, admin)).status).toBe(200);
  expect((await post("/models/two", { inputs: "w1" })).status).toBe(200);
  expect(
    (await post("/v2/repository/models/two/load", {}, { origin: "https://example.org" }, admin)).status,
  ).toBe(403);
  expect(await (await fetch(`${server.url}/metrics`)).text()).toContain("ptuning_requests_total{");
});
