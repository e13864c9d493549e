/** What PEFT calls our methods and heads, or why it does not know them. */
import { peftForm, peftHead } from "ptuning/internal/adapters";
import { lora, methodFrom, methods } from "ptuning/internal/methods";
import { questionAnswering, sequenceClassification, taskFamilies, textRegression } from "ptuning/tasks";
import { describe, expect, test } from "vitest";

const bert = { modelType: "bert", hiddenSize: 8, numLayers: 2, numHeads: 2 };
const { head } = sequenceClassification({ labels: ["no", "yes"], preset: "peft" });

describe("every kind has its answer", () => {
  test.each(Object.keys(methods))("%s", (name) => {
    const form = peftForm(methodFrom(name, { preset: "peft" }).deployed, head, bert);
    if ("reason" in form) expect(form.reason).not.toContain("does not know");
    else expect(form.method.peftType).toMatch(/^[A-Z_]+$/);
  });

  test.each(taskFamilies.map(({ type }) => type))("%s", (type) => {
    const { create, sample } = taskFamilies.find((family) => family.type === type)!;
    for (const preset of [{}, { preset: "peft" }]) {
      const answer = peftHead(create({ ...sample, ...preset }).head);
      if ("reason" in answer) expect(answer.reason).not.toContain("does not know");
      else expect(answer.taskType).toMatch(/^[A-Z_]+$/);
    }
  });

  test("one that nobody has heard of is refused by name", () => {
    const method = { name: "telepathy", options: {} };
    expect(peftForm(method, { name: "crystal-ball", options: {} }, bert)).toEqual({
      reason: "PEFT does not know telepathy; PEFT does not know the head crystal-ball",
    });
    expect(peftForm({ name: "constructor", options: {} }, head, bert)).toHaveProperty("reason");
  });
});

describe("PEFT computes", () => {
  const types = (name: string, options = {}): unknown => {
    const form = peftForm(methodFrom(name, options).deployed, head, bert);
    return "reason" in form ? form.reason : [form.method.peftType, form.head.taskType];
  };

  test.each([
    ["p-tuning-v2", { preset: "peft" }, ["PREFIX_TUNING", "SEQ_CLS"]],
    ["p-tuning-v2", { preset: "peft", reparameterization: "mlp" }, ["PREFIX_TUNING", "SEQ_CLS"]],
    ["prompt-tuning", { preset: "peft" }, ["PROMPT_TUNING", "SEQ_CLS"]],
    ["p-tuning", { preset: "peft" }, ["PROMPT_TUNING", "SEQ_CLS"]],
    ["lora", {}, ["LORA", "SEQ_CLS"]],
    ["p-tuning-v2", { preset: "peft", gate: true }, expect.stringContaining("bias on attention")],
    ["p-tuning-v2", { preset: "peft", promptLayers: { last: 1 } }, expect.stringContaining("all layers")],
    ["prompt-tuning", {}, expect.stringContaining("pools the first virtual token")],
    ["bitfit", {}, expect.stringContaining("BitFit")],
  ])("%s %j: %j", (name, options, expected) => {
    expect(types(name, options)).toEqual(expected);
  });

  test("regression, and not several choices or another pooling", () => {
    const multipleChoice = taskFamilies.find(({ type }) => type === "multiple-choice")!;
    expect(peftForm(lora(), textRegression({ preset: "peft" }).head, bert)).toMatchObject({
      head: { taskType: "SEQ_CLS" },
    });
    const choice = multipleChoice.create({ preset: "peft" }).head;
    expect(peftForm(lora(), choice, bert)).toMatchObject({
      reason: expect.stringContaining("multiple choice"),
    });
    const mean = sequenceClassification({ labels: ["no", "yes"] }).head;
    expect(peftForm(lora(), mean, bert)).toMatchObject({ reason: expect.stringContaining("pooling mean") });
  });

  test("prompts and heads only where transformers' class takes them", () => {
    const prefix = methodFrom("p-tuning-v2", { preset: "peft" });
    const mpnet = { ...bert, modelType: "mpnet" };
    expect(peftForm(prefix, head, mpnet)).toMatchObject({ reason: expect.stringContaining("MPNet") });
    const nomic = { ...bert, modelType: "nomic_bert" };
    const { head: answers } = questionAnswering();
    expect(peftForm(lora(), head, nomic)).toHaveProperty("method");
    expect(peftForm(lora(), answers, bert)).toHaveProperty("method");
    expect(peftForm(lora(), answers, nomic)).toEqual({ reason: "transformers has no NomicBERT for answers" });
  });
});
