import { z } from "@hono/zod-openapi";
import { PtuningError } from "../../core/index.ts";
import { packageVersion } from "../../files/index.ts";
import { servedModels, unknownAdapter } from "../adapters.ts";
import type { App, AppContext, AppParts } from "../app-types.ts";
import { readJson } from "../body.ts";
import { type AnswerParameters, answerParameters, formsOf } from "../forms/index.ts";
import type { Served } from "../service.ts";
import { fitting, type InferRequest, jsonBody, jsonResponse, protocolRequest, refusals } from "./schemas.ts";
import { tensorItems } from "./tensors.ts";

const platform = "ptuning_onnxruntime";

/** The Open Inference Protocol, version 2, with the lists of its repository extension. */
export function protocolRoutes(app: App, parts: AppParts): void {
  const { pool, supply, service } = parts;
  app.get("/v2", (c) =>
    c.json({ name: "ptuning", version: packageVersion(), extensions: ["model_repository"] }),
  );
  const known = async (c: AppContext): Promise<Awaited<ReturnType<typeof service.task>>> => {
    const name = c.req.param("model")!;
    parts.expectScope(c, name);
    const found = await service.task(name);
    expectVersion(c, found.fingerprint);
    return found;
  };
  const describe = async (c: AppContext): Promise<Response> => {
    const { pooled, fingerprint } = await known(c);
    const { input, answer } = formsOf(pooled.task);
    return c.json({
      name: pooled.name,
      versions: [fingerprint],
      platform,
      inputs: input.tensors,
      outputs: answer.outputs(pooled.task),
    });
  };
  const ready = async (c: AppContext): Promise<Response> => {
    const { pooled } = await known(c);
    return c.json({ name: pooled.name, ready: parts.isReady() }, parts.isReady() ? 200 : 503);
  };
  const infer = async (c: AppContext): Promise<Response> => {
    const model = c.req.param("model")!;
    parts.expectScope(c, model);
    if (c.req.header("inference-header-content-length") !== undefined) {
      throw new PtuningError("REQUEST_INVALID", "inputs: expected tensors as JSON, got binary ones.");
    }
    const body = fitting(protocolRequest, await readJson(c.req.raw, parts.limits));
    const { task } = (await known(c)).pooled;
    const items = tensorItems(body.inputs, formsOf(task).input);
    parts.expectRoom(items.length);
    const parameters = fitting(answerParameters, body.parameters ?? {});
    const served = await parts.answer(c, { model, items, parameters });
    return c.json(response(model, body, parameters, served));
  };
  for (const version of ["", "/versions/:version"]) {
    app.get(`/v2/models/:model${version}`, describe);
    app.get(`/v2/models/:model${version}/ready`, ready);
    app.post(`/v2/models/:model${version}/infer`, infer);
  }
  app.post("/v2/repository/index", (c) => {
    const all = servedModels(pool, supply).filter(({ id }) => parts.mayUse(c, id));
    return c.json(
      all.map(({ id, adapter, state, reason }) => ({
        name: id,
        ...(adapter.fingerprint !== undefined && { version: adapter.fingerprint }),
        // What is read when it is first asked is as good as there.
        state: state === "failed" ? "UNAVAILABLE" : "READY",
        reason: reason ?? "",
      })),
    );
  });
  document(app);
}

function expectVersion(c: AppContext, fingerprint: string): void {
  const version = c.req.param("version");
  if (version !== undefined && version !== fingerprint)
    throw unknownAdapter(`${c.req.param("model")} ${version}`);
}

function response(
  model: string,
  { id, outputs: wanted }: InferRequest,
  parameters: AnswerParameters,
  { task, forms, predictions, examples, fingerprint }: Served,
): object {
  const facts = forms.answer.outputs(task);
  const data = forms.answer.tensors(predictions, examples, parameters, task);
  const rows = predictions.length;
  const outputs = facts.map(({ name, datatype, shape }, i) => ({
    name,
    datatype,
    shape: shape.map((size) => (size < 0 ? rows : size)),
    // Rows of JSON, as other servers of this protocol mark them.
    ...(jsonOutputs.has(name) && { parameters: { content_type: "hg_jsonlist" } }),
    data: data[i],
  }));
  for (const { name } of wanted ?? []) {
    if (!outputs.some((output) => output.name === name)) {
      const names = outputs.map((output) => output.name).join(", ");
      throw new PtuningError("DATA_INVALID", `outputs: expected ${names}, got "${name.slice(0, 80)}".`);
    }
  }
  return {
    model_name: model,
    model_version: fingerprint,
    ...(id !== undefined && { id }),
    outputs: wanted?.length
      ? wanted.map(({ name }) => outputs.find((output) => output.name === name))
      : outputs,
  };
}

const jsonOutputs: ReadonlySet<string> = new Set(["entities", "roles", "answer", "labels"]);

function document(app: App): void {
  const { openAPIRegistry: registry } = app;
  const facts = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) });
  const tensor = facts.extend({
    parameters: z.record(z.string(), z.string()).optional(),
    data: z.array(z.union([z.string(), z.number()])),
  });
  const metadata = z.object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(facts),
    outputs: z.array(facts),
  });
  const inferred = z
    .object({
      model_name: z.string(),
      model_version: z.string(),
      id: z.string().optional(),
      outputs: z.array(tensor),
    })
    .openapi("InferResponse");
  const about = z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) });
  registry.registerPath({
    method: "get",
    path: "/v2",
    summary: "What the server is",
    responses: { ...jsonResponse(about, "Name and version."), 401: refusals["401"]! },
  });
  for (const version of ["", "/versions/{version}"]) {
    const params = z.object({ model: z.string(), ...(version !== "" && { version: z.string() }) });
    const path = `/v2/models/{model}${version}`;
    registry.registerPath({
      method: "get",
      path,
      summary: "Inputs and outputs of an adapter",
      request: { params },
      responses: { ...jsonResponse(metadata, "Its tensors."), ...refusals },
    });
    registry.registerPath({
      method: "get",
      path: `${path}/ready`,
      summary: "Whether an adapter answers",
      request: { params },
      responses: {
        ...jsonResponse(z.object({ name: z.string(), ready: z.boolean() }), "It does."),
        ...refusals,
      },
    });
    registry.registerPath({
      method: "post",
      path: `${path}/infer`,
      summary: "Answers of an adapter as tensors",
      request: { params, ...jsonBody(protocolRequest) },
      responses: { ...jsonResponse(inferred, "A row per text."), ...refusals },
    });
  }
  const state = z.object({
    name: z.string(),
    version: z.string().optional(),
    state: z.string(),
    reason: z.string(),
  });
  registry.registerPath({
    method: "post",
    path: "/v2/repository/index",
    summary: "All adapters and their states",
    responses: { ...jsonResponse(z.array(state), "All of them."), 401: refusals["401"]! },
  });
}
