/** Secrets never reach a file; what only sounds like one does. */
import { formatConfig, parseConfig, redact } from "ptuning/config";
import { expect, test } from "vitest";

test("access tokens and passwords go, whatever key they stand under", () => {
  expect(redact({ hfToken: "x", access_token: "x", password: "x", api_key: "x" })).toEqual({
    hfToken: "[redacted]",
    access_token: "[redacted]",
    password: "[redacted]",
    api_key: "[redacted]",
  });
  expect(redact(["redis://user:pass@host/1", "hf_abcdefghijkl"])).toEqual([
    "redis://[redacted]@host/1",
    "[redacted]",
  ]);
});

test("columns of words are no secrets: a saved run can be read again", () => {
  const config = parseConfig({ text: "data: {train: a.jsonl, tokens: words, tags: bio, tokenColumn: 2}" });
  expect(parseConfig({ text: formatConfig(config) })).toEqual(config);
});
