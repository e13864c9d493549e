import { parseConfig, parseRunConfig } from "ptuning/internal/config";
import { describe, expect, test } from "vitest";

const refusal = (text: string, overrides: readonly string[] = []): Error & { code?: string } => {
  try {
    parseConfig({ text, where: "run.yaml", overrides });
  } catch (error) {
    return error as Error;
  }
  return expect.unreachable("expected a refusal");
};

const laughs = ["a: &a [x, x, x, x, x, x, x, x, x]"];
for (const [before, name] of [..."abcdefgh"].map((one, i) => [one, "bcdefghi"[i]!] as const))
  laughs.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(", ")}]`);

describe("what YAML cannot mean is refused with line and column", () => {
  test.each<[string, string, RegExp]>([
    ["an alias of nothing", "data:\n  train: a.csv\n  label: *text", /^run\.yaml:3:10: .*alias/],
    [
      "an alias of what it stands in",
      "data: &a\n  train: *a",
      /^run\.yaml:2:10: \*a: expected an alias of something else/,
    ],
    ["an alias of itself", "data: &a [*a]", /^run\.yaml:1:11: /],
    ["aliases of aliases", laughs.join("\n"), /^run\.yaml:\d+:\d+: .*alias/],
    [
      "a thousand aliases",
      `a: &a 1\nb: [${"*a, ".repeat(1000)}]`,
      /^run\.yaml:2:\d+: expected at most 100 aliases/,
    ],
    ["an unknown tag", "data:\n  train: !!js/function 'x'", /^run\.yaml:2:10: .*tag/],
    ["another unknown tag", "data: !thing\n  train: a", /^run\.yaml:1:7: .*tag/],
    ["a key twice", "data:\n  train: a\n  train: b", /^run\.yaml:3:3: .*unique/],
    ["a quote without an end", "data:\n  train: 'a", /^run\.yaml:2:\d+: /],
    ["a nesting without end", "data: ".concat("[".repeat(100_000)), /^run\.yaml.*: /],
    ["many levels", `data: ${"[".repeat(500)}${"]".repeat(500)}`, /^run\.yaml: expected at most 100 levels/],
    ["two documents", "data: {train: a}\n---\ndata: {train: b}", /^run\.yaml:2:1: /],
    ["a prototype", "data: {train: a}\n__proto__: {x: 1}", /the key "__proto__" is not allowed/],
    ["a constructor", "data: {train: a}\nconstructor: {x: 1}", /constructor: unknown key/],
  ])("%s", (_, text, message) => {
    const error = refusal(text);
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toMatch(message);
  });

  test("an alias of something is taken", () => {
    const { data } = parseConfig({ text: "data: {train: &a x.csv, dev: *a}" });
    expect([data.train, data.dev]).toEqual(["x.csv", "x.csv"]);
  });

  test("values of a command line that are no YAML are texts", () => {
    const { data } = parseConfig({
      text: "data: {train: a}",
      overrides: ["data.labelPattern=*(?<label>a)", "data.text=!x"],
    });
    expect([data.labelPattern, data.text]).toEqual(["*(?<label>a)", "!x"]);
  });
});

test.each([
  "training.batchSize=2147483648",
  "training.microBatchSize=2147483648",
  "training.epochs=2147483648",
  "training.maxLength=1e12",
  "engine.threads=100000",
  "method.promptLength=1e9",
  "method.prefixHiddenSize=2147483648",
  "search.runs=1e12",
])("a number has bounds: %s", (override) => {
  const error = refusal("data: {train: a}", [override]);
  expect(error.code).toBe("CONFIG_INVALID");
  expect(error.message).toMatch(/expected number to be <=|expected .* <=|Too big|at most/);
});

test("labels may be named as what objects have", () => {
  const text =
    "data: {train: a}\ntask: {type: text-classification, classWeights: {constructor: 2, toString: 3, hasOwnProperty: 4}}";
  const { task } = parseRunConfig({ text }) as unknown as { task: { classWeights: object } };
  expect({ ...task.classWeights }).toEqual({ constructor: 2, toString: 3, hasOwnProperty: 4 });
});
