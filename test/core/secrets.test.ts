/** Secrets are told by their exact form; folders that only sound like one stay as they are. */
import { hideSecrets, PtuningError, secretIn } from "ptuning/internal/core";
import { expect, test } from "vitest";
import { cores, innocent, secrets } from "../support/secrets.ts";

test.each(Object.entries(secrets))("%s is hidden wherever it stands in a text", (_, secret) => {
  expect(secretIn(secret)).toMatch(/^an? /);
  for (const text of [
    secret,
    `see ${secret}, please`,
    `"${secret}"`,
    `a/${secret}/b`,
    `${secret}\n${secret}`,
  ]) {
    const hidden = hideSecrets(text);
    expect(hidden).toContain("***");
    for (const core of cores) expect(hidden).not.toContain(core);
  }
  const { message, hint } = new PtuningError("DATA_INVALID", `x: got ${secret}.`, { hint: secret });
  for (const core of cores) expect(`${message} ${hint}`).not.toContain(core);
});

test.each(innocent)("%s is no secret", (text) => {
  expect(secretIn(text)).toBeUndefined();
  expect(hideSecrets(`/data/${text}/train.csv`)).toBe(`/data/${text}/train.csv`);
});

test("what is around a secret stays", () => {
  expect(hideSecrets("GET https://me:secret@example.org/a failed")).toBe(
    "GET https://***@example.org/a failed",
  );
});

test("long odd texts take no time", () => {
  const started = performance.now();
  for (const part of [
    "a",
    "://",
    "://a:",
    "eyJ",
    "eyJ-",
    "sk-proj-",
    "-----BEGIN PRIVATE KEY-----",
    "token=",
    "xoxb-",
  ])
    hideSecrets(part.repeat(Math.ceil(300_000 / part.length)));
  expect(performance.now() - started).toBeLessThan(20_000);
});
