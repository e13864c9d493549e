/** Secrets never get into a configuration; what is written is exactly what was given. */

import { readDataset } from "ptuning/data";
import { formatConfig, overrideConfig, parseConfig, parseRunConfig, redact } from "ptuning/internal/config";
import { describe, expect, test } from "vitest";
import { cores, innocent, secrets } from "../support/secrets.ts";

const errorOf = (run: () => unknown): { code: string; message: string; hint: string } => {
  try {
    run();
  } catch (error) {
    return error as { code: string; message: string; hint: string };
  }
  throw new Error("expected an error");
};

describe.each(Object.entries(secrets))("%s", (_, secret) => {
  const quoted = JSON.stringify(secret);

  test.each([
    ["data.train", (): unknown => parseConfig({ text: `data: {train: ${quoted}}` })],
    ["data.text", (): unknown => parseConfig({ text: `data: {train: a.csv, text: [a, ${quoted}]}` })],
    [
      "task.positive",
      (): unknown => parseConfig({ text: `data: {train: a.csv}\ntask: {positive: ${quoted}}` }),
    ],
    ["backbone", (): unknown => parseConfig({ text: "data: {train: a}", overrides: [`backbone=${quoted}`] })],
    ["output", (): unknown => parseConfig({ text: `data: {train: a}\noutput: ${quoted}` })],
    ["tasks", (): unknown => parseRunConfig({ text: `tasks: {${quoted}: {data: {train: a}}}` })],
    ["hfToken", (): unknown => parseConfig({ text: `data: {train: a}\nhfToken: ${quoted}` })],
    ["data", (): unknown => overrideConfig(parseConfig({ text: "data: {train: a}" }), { "data.id": secret })],
  ])("is refused under %s, by its key and without its value", (key, run) => {
    const { code, message, hint } = errorOf(run);
    expect(code).toBe("CONFIG_INVALID");
    expect(message).toMatch(new RegExp(`: ${key}.*: expected no secret, got what looks like `));
    for (const core of cores) expect(message + hint).not.toContain(core);
  });
});

test.each(innocent)("a path with %s is written as it is", (name) => {
  const config = parseConfig({
    text: JSON.stringify({ data: { train: `/a/${name}/train.csv` }, backbone: name }),
  });
  const written = formatConfig(config);
  expect(parseConfig({ text: written })).toEqual(config);
  expect(config.data.train).toBe(`/a/${name}/train.csv`);
});

test("the line and the file are named", () => {
  const text = `data:\n  train: a.csv\n  label: ${secrets.OpenAI}\n`;
  expect(errorOf(() => parseConfig({ text, where: "run.yaml" })).message).toBe(
    "run.yaml:3: data.label: expected no secret, got what looks like an OpenAI key.",
  );
});

test("logs are redacted by key, too", () => {
  const secret = { hfToken: "x", access_token: "x", password: "x", api_key: "x", tokens: "words" };
  expect(redact(secret)).toEqual({
    ...{ hfToken: "***", access_token: "***", password: "***", api_key: "***", tokens: "words" },
  });
  expect(redact(["redis://user:pass@host/1", "hf_abcdefghijkl", Float32Array.of(1)])).toEqual([
    "redis://***@host/1",
    "hf_abcdefghijkl",
    Float32Array.of(1),
  ]);
});

test("columns of words are no secrets: a saved run can be read again", () => {
  const config = parseConfig({ text: "data: {train: a.jsonl, tokens: words, tags: bio, tokenColumn: 2}" });
  expect(parseConfig({ text: formatConfig(config) })).toEqual(config);
});

test("a path that an earlier version replaced says what to do", async () => {
  await expect(readDataset("/data/[redacted]/train.csv", { kind: "text" })).rejects.toMatchObject({
    code: "DATA_NOT_FOUND",
    hint: expect.stringContaining("write the path back"),
  });
});
