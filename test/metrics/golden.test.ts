/** Every metric against the reference implementations, on committed cases (tools/reference/make_metrics.py). */
import { expect, test } from "vitest";
import { readGolden } from "../support/golden.ts";
import { compareAll, comparisons, type MetricCases } from "../support/metric-cases.ts";

const cases = readGolden<MetricCases>("metrics.json");

test.each(Object.keys(comparisons) as (keyof MetricCases)[])(
  "%s: as the reference implementation",
  (kind) => {
    expect(compareAll(kind, cases)).toBeGreaterThan(15);
  },
);
