import { schedule } from "ptuning/internal/optim";
import { expect, test } from "vitest";

const facts = { peak: 2, totalSteps: 10, stepsPerEpoch: 5 };
const rates = (warmupSteps: number): number[] => {
  const rate = schedule("linear", { ...facts, warmupSteps });
  return Array.from({ length: facts.totalSteps + 1 }, (_, step) => rate(step));
};

test("rises from 0, then falls straight to 0, as transformers' get_linear_schedule_with_warmup", () => {
  expect(rates(4)).toEqual([0, 0.5, 1, 1.5, 2, ...[5, 4, 3, 2, 1, 0].map((left) => (2 * left) / 6)]);
  expect(rates(0)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((left) => (2 * left) / 10));
});

test("below 1, a warm-up is a share of all updates, rounded up as transformers' TrainingArguments does", () => {
  expect(rates(0.4)).toEqual(rates(4));
  expect(rates(0.31)).toEqual(rates(4));
  expect(rates(0.05)).toEqual(rates(1));
});
