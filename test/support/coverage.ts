/** Test processes are ended from outside, which loses what they covered: it is written when a file's tests are done. */
import { takeCoverage } from "node:v8";
import { afterAll } from "vitest";

afterAll(() => {
  if (process.env.NODE_V8_COVERAGE) takeCoverage();
});
