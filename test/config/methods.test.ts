import { commentedConfig, configDefaults, methodOf, parseConfig } from "ptuning/internal/config";
import { methods } from "ptuning/internal/methods";
import { describe, expect, test } from "vitest";

const parse = (method: string): unknown =>
  parseConfig({ text: `data: { train: a.csv }\nmethod: ${method}` }).method;

describe("the method of a configuration", () => {
  test("is P-Tuning v2 where it has no name", () => {
    expect(parseConfig({ overrides: ["data.train=a.csv"] }).method).toEqual({ name: "p-tuning-v2" });
    expect(parse("{ promptLength: 3 }")).toEqual({ name: "p-tuning-v2", promptLength: 3 });
  });

  test("has a longer prompt where each position is answered for, unless the configuration says a length", () => {
    const lengthOf = (task: string, method = "{}"): unknown => {
      const text = `data: { train: a.csv }\ntask: { type: ${task} }\nmethod: ${method}`;
      return methodOf(parseConfig({ text })).options.promptLength;
    };
    expect(lengthOf("text-classification")).toBe(20);
    for (const task of ["token-classification", "semantic-roles", "question-answering"]) {
      expect(lengthOf(task)).toBe(64);
      expect(lengthOf(task, "{ promptLength: 8 }")).toBe(8);
    }
    expect(commentedConfig({}, configDefaults("token-classification"))).toContain("#   promptLength: 64");
  });

  test.each(Object.keys(methods))("%s is known", (name) => {
    expect(parse(`{ name: ${name} }`)).toEqual({ name });
  });

  test.each([
    ["{ promptLenght: 3 }", 'method.promptLenght: unknown key. Did you mean "promptLength"?'],
    ["{ name: bitfit, promptLayers: all }", "method.promptLayers: a key of p-tuning-v2, not of bitfit."],
    ["{ name: bitfti }", /method\.name: expected one of "p-tuning-v2"\|.*"bitfit".*, got "bitfti"/],
    ["{ promptLength: none }", 'method.promptLength: expected number, got "none".'],
    ["3", "method: expected object, got 3."],
  ])("%s is refused with what would do", (method, message) => {
    expect(() => parse(method)).toThrow(message);
  });

  test("decides which keys a commented file shows", () => {
    expect(commentedConfig({}, configDefaults("text-classification"))).toContain("#   promptLayers: all");
    expect(commentedConfig({ method: { name: "bitfit" } })).not.toContain("promptLayers");
  });
});
